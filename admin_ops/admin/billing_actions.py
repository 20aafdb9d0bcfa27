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
from admin_ops.admin.action_pages import Deed, Doer
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import Permission
from saas.billing import clock, overrides, plan_mapping, trials
from saas.billing.models import EntitlementOverride, Owner, Subscription
from saas.teams.models import Team


def _give_plan(owner: Owner, doer: Doer) -> str:
    plan, until = doer.fields["plan"], end_of(doer.fields["last_day"])
    overrides.comp_plan(owner, plan_id=plan.pk, expires_at=until, reason=doer.reason, by=doer.user)
    return f"{owner} has {plan.name} until {doer.fields['last_day']:%-d %b %Y}."


def _give_more(owner: Owner, doer: Doer) -> str:
    kind, _, key = doer.fields["what"].partition(":")
    until = end_of(doer.fields["last_day"])
    if kind == "limit":
        overrides.override_limit(
            owner, key=key, value=doer.fields["value"], expires_at=until, reason=doer.reason, by=doer.user
        )
    else:
        overrides.grant_feature(owner, feature=key, expires_at=until, reason=doer.reason, by=doer.user)
    return f"{owner} has more {key.replace('_', ' ')} until {doer.fields['last_day']:%-d %b %Y}."


def _end(row: EntitlementOverride, doer: Doer) -> str:
    overrides.end_override(row.pk, reason=doer.reason, by=doer.user)
    return f"{row} is taken back."


def _page_of_owner(row: EntitlementOverride, doer: Doer) -> str:
    if row.user_id:
        return reverse("admin:accounts_user_change", args=[row.user_id])
    return reverse("admin:teams_team_change", args=[row.team_id])


def _extend(row: Subscription, doer: Doer) -> str:
    later = (row.trial_end or clock.now()) + timedelta(days=doer.fields["days"])
    trials.extend_trial(row, trial_end=later, reason=doer.reason, by=doer.user)
    return f"The trial goes on until {later:%-d %b %Y}."


def _map(row: Subscription, doer: Doer) -> str:
    plan, price_id = doer.fields["plan"], doer.fields["price_id"]
    row = plan_mapping.map_price(row, plan_id=plan.pk, price_id=price_id, reason=doer.reason, by=doer.user)
    return f"{row.price_id} stands for {plan.name}, for everybody who pays it."


def _trial_of(person: User) -> Subscription | None:
    return Subscription.objects.for_owner(person).filter(status=Subscription.Status.TRIALING).order_by("-pk").first()


def _extend_hers(person: User, doer: Doer) -> str:
    if (row := _trial_of(person)) is None:
        raise trials.NotOnTrial
    return _extend(row, doer)


def _is_customer(person: User) -> bool:
    return not person.is_staff and person.status != User.Status.DELETED


def _is_there(team: Team) -> bool:
    return team.deleted_at is None


_TRIAL = "The payment provider is asked; nothing is charged before the new end."

EXTEND_TRIAL = Deed(
    "extend-trial", "Extend the trial", "more_time", _TRIAL, Permission.GIVE_ACCESS, _extend, ExtendTrialForm,
    fits=lambda row: row.status == Subscription.Status.TRIALING,
)  # fmt: skip
MAP_PRICE = Deed(
    "map-price", "Say which plan it is", "link",
    "The price stands for the plan from now on, for everybody who pays it. At the provider nothing changes.",
    Permission.GIVE_ACCESS, _map, MapPriceForm, fits=lambda row: row.has_unknown_plan,
)  # fmt: skip
END_OVERRIDE = Deed(
    "end", "Take it back", "undo", "It counts no longer, from now on.", Permission.GIVE_ACCESS, _end,
    fits=lambda row: row.is_live(clock.now()), is_grave=True, leads_to=_page_of_owner,
)  # fmt: skip
DEEDS = (
    Deed(
        "extend-trial", "Extend the trial", "more_time", _TRIAL, Permission.GIVE_ACCESS, _extend_hers, ExtendTrialForm,
        fits=lambda person: _trial_of(person) is not None,
    ),
    Deed(
        "give-plan", "Give a plan", "redeem",
        "They and the teams that they own have all that the plan gives, free of charge. What they buy goes on beside it; "
        "the better counts.",
        Permission.GIVE_ACCESS, _give_plan, GivePlanForm, fits=_is_customer,
    ),
    Deed(
        "give-more", "Give a limit or feature", "add_circle",
        "One limit is raised or one feature given, whatever they buy. It only ever adds.",
        Permission.GIVE_ACCESS, _give_more, GiveMoreForm, fits=_is_customer,
    ),
)  # fmt: skip
TEAM_DEEDS = (
    Deed(
        "give-plan", "Give a plan", "redeem",
        "This team alone has all that the plan gives, free of charge. What it or its owner buys goes on beside it; the "
        "better counts.",
        Permission.GIVE_ACCESS, _give_plan, GivePlanForm, fits=_is_there,
    ),
    Deed(
        "give-more", "Give a limit or feature", "add_circle",
        "One limit is raised or one feature given to this team alone, whatever it or its owner buys. It only ever adds.",
        Permission.GIVE_ACCESS, _give_more, GiveTeamMoreForm, fits=_is_there,
    ),
)  # fmt: skip
