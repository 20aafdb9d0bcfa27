"""Product's pages for people. All of them are 404 where ``FRONT_PAGES`` is off."""

from django.conf import settings

from product.pages import impersonated_view, invitations, landing, mailed_links
from product.pages.account import devices, personal_data, profile, second_factor, security
from product.pages.base import front_path
from product.pages.sign_in import login, providers, register
from product.pages.teams import api_keys, members, ownership, teams
from product.pages.teams import invitations as team_invitations

_REGISTRATION = [front_path("register", register.RegisterPage.as_view(), "register-page")]
_PROVIDERS = [
    front_path("login/with/<str:provider>", providers.LoginWithPage.as_view(), "login-with"),
    front_path("login/return", providers.LoginReturnPage.as_view(), "login-return"),
    front_path("account/providers/<str:provider>", security.ProviderPage.as_view(), "account-provider"),
]
_TEAMS = [
    front_path("invitations/accept", invitations.AcceptInvitationPage.as_view(), "accept-page"),
    front_path("invitations/<str:invitation_id>/join", teams.JoinPage.as_view(), "invitation-join"),
    front_path("teams", teams.TeamsPage.as_view(), "teams-page"),
    front_path("teams/<str:team_id>", members.MembersPage.as_view(), "team-page"),
    front_path("teams/<str:team_id>/members/<str:user_id>", members.MemberPage.as_view(), "team-member-page"),
    front_path(
        "teams/<str:team_id>/members/<str:user_id>/remove",
        members.RemoveMemberPage.as_view(),
        "team-member-remove-page",
    ),
    front_path("teams/<str:team_id>/invitations", team_invitations.InvitationsPage.as_view(), "team-invitations-page"),
    front_path(
        "teams/<str:team_id>/invitations/<str:invitation_id>",
        team_invitations.InvitationPage.as_view(),
        "team-invitation-page",
    ),
    front_path("teams/<str:team_id>/settings", ownership.SettingsPage.as_view(), "team-settings-page"),
    front_path("teams/<str:team_id>/leave", ownership.LeavePage.as_view(), "team-leave-page"),
    front_path("teams/<str:team_id>/transfer", ownership.TransferPage.as_view(), "team-transfer-page"),
    front_path("teams/<str:team_id>/delete", ownership.DeletePage.as_view(), "team-delete-page"),
]
_API_KEYS = [
    front_path("teams/<str:team_id>/api-keys", api_keys.ApiKeysPage.as_view(), "team-keys-page"),
    front_path("teams/<str:team_id>/api-keys/new", api_keys.NewApiKeyPage.as_view(), "team-key-new-page"),
    front_path("teams/<str:team_id>/api-keys/<str:key_id>", api_keys.RevokeApiKeyPage.as_view(), "team-key-page"),
]

urlpatterns = [
    front_path("", landing.LandingPage.as_view(), "start"),
    # Signing in
    *(_REGISTRATION if settings.REGISTRATION == "open" else []),
    front_path("login", login.LoginPage.as_view(), "login-page"),
    front_path("login/code", login.LoginCodePage.as_view(), "login-code-page"),
    *(_PROVIDERS if settings.OAUTH else []),
    front_path("logout", login.LogoutPage.as_view(), "logout-page"),
    # The account
    front_path("account", profile.ProfilePage.as_view(), "account"),
    front_path("account/email", profile.EmailPage.as_view(), "account-email"),
    front_path("account/email/resend", profile.ResendPage.as_view(), "account-email-resend"),
    front_path("account/security", security.SecurityPage.as_view(), "account-security"),
    front_path("account/password", security.PasswordPage.as_view(), "account-password"),
    front_path("account/second-factor", second_factor.SecondFactorPage.as_view(), "account-second-factor"),
    front_path("account/second-factor/setup", second_factor.SetupPage.as_view(), "account-second-factor-setup"),
    front_path("account/devices", devices.DevicesPage.as_view(), "account-devices"),
    front_path("account/support-visits", devices.SupportVisitsPage.as_view(), "account-support-visits"),
    front_path("account/data", personal_data.DataPage.as_view(), "account-data"),
    front_path("account/delete", personal_data.DeletePage.as_view(), "account-delete"),
    # Staff in a customer's name
    front_path("impersonation", impersonated_view.open_view, "impersonation"),
    front_path("impersonation/leave", impersonated_view.leave_view, "impersonation-leave"),
    # Behind mailed links
    front_path("verify", mailed_links.VerifyPage.as_view(), "verify-page"),
    front_path("reset", mailed_links.ResetPage.as_view(), "reset-page"),
    front_path("keep", mailed_links.KeepPage.as_view(), "keep-page"),
    front_path("forgot", mailed_links.ForgotPage.as_view(), "forgot-page"),
    *(_TEAMS if settings.TEAMS else []),
    *(_API_KEYS if settings.API_KEYS else []),
]
