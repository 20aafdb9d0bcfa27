"""What staff give to users and teams in addition to what was bought, and what they do to subscriptions."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Effect, Endpoint, StaffAction, Target
from admin_ops.actions.forms import ExtendTrialForm, GiveMoreForm, GivePlanForm, GiveTeamMoreForm, MapPriceForm
from admin_ops.actions.users import USER
from admin_ops.serializers import access as shapes
from admin_ops.serializers.billing import OneSubscriptionShape, represent_one_subscription
from admin_ops.serializers.users import ReasonBody
from admin_ops.status_colors import GOOD, WARN
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import clock, overrides, plan_mapping, subscriptions
from saas.billing.models import EntitlementOverride, Owner, Plan, Subscription
from saas.billing.overrides import OverrideEnded
from saas.billing.plan_mapping import PlanIsKnown
from saas.billing.subscriptions import NotOnTrial
from saas.teams.models import Team

TEAM_BILLING = Target(Team, StaffPermission.READ_BILLING, lambda row_id: Team.objects.live().filter(pk=row_id).first())
SUBSCRIPTION = Target(
    Subscription,
    StaffPermission.READ_BILLING,
    lambda row_id: Subscription.objects.with_customer().filter(pk=row_id).first(),
)
OVERRIDE = Target(
    EntitlementOverride,
    StaffPermission.READ_BILLING,
    lambda row_id: EntitlementOverride.objects.filter(pk=row_id).first(),
)


def is_live_subscription(row: Subscription) -> bool:
    return row.status not in Subscription.TERMINAL


def give(
    owner: Owner,
    context: ActionContext,
    *,
    kind: str,
    key: str,
    expires_at: datetime,
    reason: str,
    value: int | None = None,
) -> ActionResult:
    """``key`` names the plan, limit or feature."""
    if kind == EntitlementOverride.Kind.PLAN:
        override = overrides.comp_plan(owner, plan_id=key, expires_at=expires_at, reason=reason, by=context.user)
        given = override.plan.name if override.plan else key
    elif kind == EntitlementOverride.Kind.LIMIT:
        override = overrides.override_limit(
            owner, key=key, value=value, expires_at=expires_at, reason=reason, by=context.user
        )
        given = f"more {key.replace('_', ' ')}"
    else:
        override = overrides.grant_feature(owner, feature=key, expires_at=expires_at, reason=reason, by=context.user)
        given = f"more {key.replace('_', ' ')}"
    last_day = expires_at - timedelta(days=1)
    return ActionResult(f"{owner} has {given} until {last_day:%-d %b %Y}.", override)


def _effect_of_giving_a_plan(owner: Owner, *, kind: str, key: str, expires_at: datetime) -> Effect:
    plan, last_day = Plan.objects.get(pk=key), expires_at - timedelta(days=1)
    overrides.require_possible_end(expires_at)
    limits = ", ".join(
        f"{name.replace('_', ' ')} {'without limit' if value is None else value}" for name, value in plan.limits.items()
    )
    return Effect(
        (
            f"{owner} has {plan} until {last_day:%-d %b %Y}, free of charge: {limits}.",
            "What they buy goes on as it is, and is charged as before.",
        )
    )


GIVE_ENDPOINT = Endpoint(
    path="users/<str:user_id>/overrides",
    operation_id="staff_override_give",
    summary="Give a plan, a limit or a feature",
    description="A whole plan (a comp), one limit, or one feature: it only adds, and ends at ``expires_at``.",
    tag="access",
    body=shapes.OverrideBody,
    status=201,
    response=shapes.NewOverrideShape,
    represent=lambda override: {"override": shapes.represent_override(override)},
)
GIVE_USER_PLAN = StaffAction(
    name="give-plan",
    target=USER,
    label="Give a plan",
    icon="redeem",
    description="They and the teams that they own have all that the plan gives, free of charge. What they buy goes on "
    "unchanged; the better counts.",
    permission=StaffPermission.GIVE_ACCESS,
    run=give,
    form=GivePlanForm,
    effect=_effect_of_giving_a_plan,
    available_for=lambda user: not user.is_staff and user.status != User.Status.DELETED,
    is_billing=True,
    audit=(AuditLabel("entitlement.given", "Was given access", GOOD, "redeem"),),
    endpoint=GIVE_ENDPOINT,
)
GIVE_USER_MORE = replace(
    GIVE_USER_PLAN,
    name="give-more",
    label="Give a limit or feature",
    icon="add_circle",
    description="One limit is raised or one feature given, whatever they buy. It only ever adds.",
    form=GiveMoreForm,
    effect=None,
    endpoint=None,  # that of GIVE_USER_PLAN serves both
)
GIVE_TEAM_PLAN = replace(
    GIVE_USER_PLAN,
    target=TEAM_BILLING,
    description="This team alone has all that the plan gives, free of charge. What it or its owner buys goes on unchanged; "
    "the better counts.",
    available_for=lambda team: team.deleted_at is None,
    endpoint=replace(
        GIVE_ENDPOINT,
        path="teams/<str:team_id>/overrides",
        operation_id="staff_team_override_give",
        summary="Give a team a plan, a limit or a feature",
        description="The same for one team: its owner and their other teams get nothing of it.",
    ),
)
GIVE_TEAM_MORE = replace(
    GIVE_USER_MORE,
    target=TEAM_BILLING,
    description="One limit is raised or one feature given to this team alone, whatever it or its owner buys. It only ever "
    "adds.",
    form=GiveTeamMoreForm,
    available_for=lambda team: team.deleted_at is None,
)


def end_override(row: EntitlementOverride, context: ActionContext, *, reason: str) -> ActionResult:
    ended = overrides.end_override(row.pk, reason=reason, by=context.user)
    return ActionResult(f"{row} is taken back.", ended)


def _owner_url(row: EntitlementOverride, outcome: ActionResult) -> str:
    if row.user_id:
        return reverse("admin:accounts_user_change", args=[row.user_id])
    return reverse("admin:teams_team_change", args=[row.team_id]) if settings.TEAMS else reverse("admin:index")


END_OVERRIDE = StaffAction(
    name="end",
    target=OVERRIDE,
    label="Take it back",
    icon="undo",
    description="It counts no longer, from now on.",
    permission=StaffPermission.GIVE_ACCESS,
    run=end_override,
    available_for=lambda row: row.is_live(clock.now()),
    unavailable=OverrideEnded.title,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("entitlement.ended", "Given access taken back", WARN, "redeem"),),
    success_url=_owner_url,
    endpoint=Endpoint(
        path="overrides/<str:override_id>/end",
        operation_id="staff_override_end",
        summary="Take it back before its time",
        tag="access",
        body=ReasonBody,
        response=shapes.NewOverrideShape,
        represent=lambda override: {"override": shapes.represent_override(override)},
        refusals=(OverrideEnded,),
    ),
)


def extend_trial(
    row: Subscription, context: ActionContext, *, reason: str, trial_end: datetime | None = None, days: int = 0
) -> ActionResult:
    """To ``trial_end``, or by ``days`` from the present end."""
    later = trial_end or (row.trial_end or clock.now()) + timedelta(days=days)
    extended = subscriptions.extend_trial(row, trial_end=later, reason=reason, by=context.user)
    return ActionResult(f"The trial goes on until {later:%-d %b %Y}.", extended)


def _effect_of_extending(row: Subscription, *, days: int) -> Effect:
    end = row.trial_end or clock.now()
    later = end + timedelta(days=days)
    return Effect(
        (
            f"The trial ends on {later:%-d %b %Y} instead of {end:%-d %b %Y}.",
            f"Nothing is charged before; then {row.monthly} a month."
            if row.monthly_cents
            else "Nothing is charged before.",
        )
    )


def _effect_of_extending_for_user(user: User, *, days: int) -> Effect:
    if (row := _trial_of(user)) is None:
        raise NotOnTrial
    return _effect_of_extending(row, days=days)


def _trial_of(user: User) -> Subscription | None:
    return Subscription.objects.for_owner(user).filter(status=Subscription.Status.TRIALING).order_by("-pk").first()


def extend_trial_of_user(user: User, context: ActionContext, *, reason: str, days: int) -> ActionResult:
    if (row := _trial_of(user)) is None:
        raise NotOnTrial
    return extend_trial(row, context, reason=reason, days=days)


EXTEND_TRIAL = StaffAction(
    name="extend-trial",
    target=SUBSCRIPTION,
    label="Extend the trial",
    icon="more_time",
    description="The payment provider is asked; nothing is charged before the new end.",
    permission=StaffPermission.GIVE_ACCESS,
    run=extend_trial,
    form=ExtendTrialForm,
    effect=_effect_of_extending,
    unavailable=NotOnTrial.title,
    available_for=lambda row: row.status == Subscription.Status.TRIALING,
    is_billing=True,
    audit=(AuditLabel("subscription.trial_extended", "Trial extended", GOOD),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/trial",
        operation_id="staff_trial_extend",
        summary="Extend a trial",
        description="The payment provider is asked for it, so it may refuse; nothing is charged before the new end.",
        tag="access",
        body=shapes.TrialBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(NotOnTrial,),
    ),
)
EXTEND_TRIAL_OF_USER = replace(
    EXTEND_TRIAL,
    target=USER,
    run=extend_trial_of_user,
    effect=_effect_of_extending_for_user,
    available_for=lambda user: _trial_of(user) is not None,
    endpoint=None,
)


def map_price(row: Subscription, context: ActionContext, *, reason: str, plan_id: str, price_id: str) -> ActionResult:
    row = plan_mapping.map_price(row, plan_id=plan_id, price_id=price_id, reason=reason, by=context.user)
    plan = row.plan.name if row.plan else plan_id
    return ActionResult(f"{row.price_id} stands for {plan}, for everybody who pays it.", row)


MAP_PRICE = StaffAction(
    name="map-price",
    target=SUBSCRIPTION,
    label="Say which plan it is",
    icon="link",
    description="The price stands for the plan from now on, for everybody who pays it. At the provider nothing changes.",
    permission=StaffPermission.GIVE_ACCESS,
    run=map_price,
    form=MapPriceForm,
    available_for=lambda row: row.has_unknown_plan,
    is_billing=True,
    audit=(AuditLabel("price.mapped", "Price stands for a plan", GOOD),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/plan",
        operation_id="staff_subscription_plan",
        summary="Say which plan a subscription's price stands for",
        description="Where neither price nor product says it. At the provider nothing changes.",
        tag="access",
        body=shapes.PlanBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(PlanIsKnown,),
    ),
)
