"""What staff give beside what was bought, and the time they add to a trial."""

from datetime import timedelta

from django.urls import reverse

from admin_ops.admin.action_forms import (
    ExtendTrialForm,
    GiveMoreForm,
    GivePlanForm,
    GiveTeamMoreForm,
    MapPriceForm,
    end_of,
)
from admin_ops.admin.action_pages import ActionContext, StaffAction
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import Permission
from saas.billing import clock, overrides, plan_mapping, trials
from saas.billing.models import EntitlementOverride, Owner, Subscription
from saas.teams.models import Team


def _give_plan(owner: Owner, context: ActionContext) -> str:
    plan, until = context.fields["plan"], end_of(context.fields["last_day"])
    overrides.comp_plan(owner, plan_id=plan.pk, expires_at=until, reason=context.reason, by=context.user)
    return f"{owner} has {plan.name} until {context.fields['last_day']:%-d %b %Y}."


def _give_more(owner: Owner, context: ActionContext) -> str:
    kind, _, key = context.fields["what"].partition(":")
    until = end_of(context.fields["last_day"])
    if kind == "limit":
        overrides.override_limit(
            owner, key=key, value=context.fields["value"], expires_at=until, reason=context.reason, by=context.user
        )
    else:
        overrides.grant_feature(owner, feature=key, expires_at=until, reason=context.reason, by=context.user)
    return f"{owner} has more {key.replace('_', ' ')} until {context.fields['last_day']:%-d %b %Y}."


def _end(row: EntitlementOverride, context: ActionContext) -> str:
    overrides.end_override(row.pk, reason=context.reason, by=context.user)
    return f"{row} is taken back."


def _page_of_owner(row: EntitlementOverride, context: ActionContext) -> str:
    if row.user_id:
        return reverse("admin:accounts_user_change", args=[row.user_id])
    return reverse("admin:teams_team_change", args=[row.team_id])


def _extend(row: Subscription, context: ActionContext) -> str:
    later = (row.trial_end or clock.now()) + timedelta(days=context.fields["days"])
    trials.extend_trial(row, trial_end=later, reason=context.reason, by=context.user)
    return f"The trial goes on until {later:%-d %b %Y}."


def _map(row: Subscription, context: ActionContext) -> str:
    plan, price_id = context.fields["plan"], context.fields["price_id"]
    row = plan_mapping.map_price(row, plan_id=plan.pk, price_id=price_id, reason=context.reason, by=context.user)
    return f"{row.price_id} stands for {plan.name}, for everybody who pays it."


def _trial_of(person: User) -> Subscription | None:
    return Subscription.objects.for_owner(person).filter(status=Subscription.Status.TRIALING).order_by("-pk").first()


def _extend_hers(person: User, context: ActionContext) -> str:
    if (row := _trial_of(person)) is None:
        raise trials.NotOnTrial
    return _extend(row, context)


def _is_customer(person: User) -> bool:
    return not person.is_staff and person.status != User.Status.DELETED


def _is_there(team: Team) -> bool:
    return team.deleted_at is None


_TRIAL = "The payment provider is asked; nothing is charged before the new end."

EXTEND_TRIAL = StaffAction(
    "extend-trial", "Extend the trial", "more_time", _TRIAL, Permission.GIVE_ACCESS, _extend, ExtendTrialForm,
    available_for=lambda row: row.status == Subscription.Status.TRIALING,
)  # fmt: skip
MAP_PRICE = StaffAction(
    "map-price", "Say which plan it is", "link",
    "The price stands for the plan from now on, for everybody who pays it. At the provider nothing changes.",
    Permission.GIVE_ACCESS, _map, MapPriceForm, available_for=lambda row: row.has_unknown_plan,
)  # fmt: skip
END_OVERRIDE = StaffAction(
    "end", "Take it back", "undo", "It counts no longer, from now on.", Permission.GIVE_ACCESS, _end,
    available_for=lambda row: row.is_live(clock.now()), is_destructive=True, success_url=_page_of_owner,
)  # fmt: skip
USER_BILLING_ACTIONS = (
    StaffAction(
        "extend-trial", "Extend the trial", "more_time", _TRIAL, Permission.GIVE_ACCESS, _extend_hers, ExtendTrialForm,
        available_for=lambda person: _trial_of(person) is not None,
    ),
    StaffAction(
        "give-plan", "Give a plan", "redeem",
        "They and the teams that they own have all that the plan gives, free of charge. What they buy goes on beside it; "
        "the better counts.",
        Permission.GIVE_ACCESS, _give_plan, GivePlanForm, available_for=_is_customer,
    ),
    StaffAction(
        "give-more", "Give a limit or feature", "add_circle",
        "One limit is raised or one feature given, whatever they buy. It only ever adds.",
        Permission.GIVE_ACCESS, _give_more, GiveMoreForm, available_for=_is_customer,
    ),
)  # fmt: skip
TEAM_ACTIONS = (
    StaffAction(
        "give-plan", "Give a plan", "redeem",
        "This team alone has all that the plan gives, free of charge. What it or its owner buys goes on beside it; the "
        "better counts.",
        Permission.GIVE_ACCESS, _give_plan, GivePlanForm, available_for=_is_there,
    ),
    StaffAction(
        "give-more", "Give a limit or feature", "add_circle",
        "One limit is raised or one feature given to this team alone, whatever it or its owner buys. It only ever adds.",
        Permission.GIVE_ACCESS, _give_more, GiveTeamMoreForm, available_for=_is_there,
    ),
)  # fmt: skip
