"""Routes of the Product API, port 8000."""

from importlib import import_module

from django.conf import settings
from django.urls import path

from product import dev_mail
from product.modules import MODULES
from product.pages.urls import urlpatterns as page_urls
from product.teams import api_keys, invitations
from product.teams import views as teams
from saas.api.accounts import oauth, personal_data, second_factor, security, support_visits
from saas.api.accounts import views as accounts
from saas.api.service_urls import common_urls, handler400, handler403, handler404, handler500
from saas.operations.app_discovery import added_module_files

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

is_open = settings.REGISTRATION == "open"

_OAUTH = [
    path("api/auth/oauth", oauth.ProvidersView.as_view(), name="oauth-providers"),
    path("api/auth/oauth/<str:provider>", oauth.StartView.as_view(), name="oauth-start"),
    path("api/auth/oauth/<str:provider>/callback", oauth.CallbackView.as_view(), name="oauth-callback"),
    path("api/auth/oauth/<str:provider>/link", oauth.LinkView.as_view(), name="oauth-link"),
    path("api/auth/identities", oauth.IdentitiesView.as_view(), name="identities"),
    path("api/auth/identities/<str:provider>", oauth.IdentityView.as_view(), name="identity"),
]
_TEAMS = [
    path("api/teams", teams.TeamsView.as_view(), name="teams"),
    path("api/teams/<str:team_id>", teams.OneTeamView.as_view(), name="team"),
    path("api/teams/<str:team_id>/leave", teams.LeaveView.as_view(), name="team-leave"),
    path("api/teams/<str:team_id>/transfer", teams.TransferView.as_view(), name="team-transfer"),
    path("api/teams/<str:team_id>/members", teams.MembersView.as_view(), name="members"),
    path("api/teams/<str:team_id>/members/<str:user_id>", teams.MemberView.as_view(), name="member"),
    path("api/teams/<str:team_id>/invitations", invitations.InvitationsView.as_view(), name="invitations"),
    path(
        "api/teams/<str:team_id>/invitations/<str:invitation_id>",
        invitations.InvitationView.as_view(),
        name="invitation",
    ),
    path(
        "api/teams/<str:team_id>/invitations/<str:invitation_id>/resend",
        invitations.ResendView.as_view(),
        name="invitation-resend",
    ),
    path("api/invitations", invitations.OwnInvitationsView.as_view(), name="own-invitations"),
    path(
        "api/invitations/<str:invitation_id>/accept",
        invitations.AcceptOwnView.as_view(),
        name="own-invitation-accept",
    ),
    path("api/invitations/accept", invitations.AcceptView.as_view(), name="invitation-accept"),
    *(
        [path("api/invitations/register", invitations.RegisterByInvitationView.as_view(), name="invitation-register")]
        if settings.REGISTRATION != "closed"
        else []
    ),
]
_API_KEYS = [
    path("api/teams/<str:team_id>/api-keys", api_keys.ApiKeysView.as_view(), name="api-keys"),
    path("api/teams/<str:team_id>/api-keys/<str:key_id>", api_keys.ApiKeyView.as_view(), name="api-key"),
]

urlpatterns = [
    *common_urls("Product API", "Accounts, subscriptions and teams.", MODULES),
    # Authentication
    *([path("api/auth/register", accounts.RegisterView.as_view(), name="register")] if is_open else []),
    path("api/auth/login", accounts.LoginView.as_view(), name="login"),
    path("api/auth/refresh", accounts.RefreshView.as_view(), name="refresh"),
    path("api/auth/logout", accounts.LogoutView.as_view(), name="logout"),
    path("api/auth/logout-all", accounts.LogoutAllView.as_view(), name="logout-all"),
    path("api/auth/csrf", accounts.CsrfView.as_view(), name="csrf"),
    path("api/auth/me", accounts.MeView.as_view(), name="me"),
    path("api/auth/sessions", accounts.SessionsView.as_view(), name="sessions"),
    path("api/auth/sessions/<str:sid>", accounts.SessionView.as_view(), name="session"),
    path("api/auth/support-visits", support_visits.SupportVisitsView.as_view(), name="support-visits"),
    path("api/auth/reauthenticate", security.ReauthenticateView.as_view(), name="reauthenticate"),
    path("api/auth/password/change", security.ChangePasswordView.as_view(), name="password-change"),
    path("api/auth/password/forgot", security.ForgotPasswordView.as_view(), name="password-forgot"),
    path("api/auth/password/reset", security.ResetPasswordView.as_view(), name="password-reset"),
    path("api/auth/email/verify", security.VerifyEmailView.as_view(), name="email-verify"),
    path("api/auth/email/verify/preview", security.PreviewVerificationView.as_view(), name="email-verify-preview"),
    path("api/auth/email/disown", security.ReportUnrecognizedView.as_view(), name="email-disown"),
    path("api/auth/email/resend", security.ResendVerificationView.as_view(), name="email-resend"),
    path("api/auth/email/change", security.ChangeEmailView.as_view(), name="email-change"),
    path("api/auth/mfa", second_factor.StatusView.as_view(), name="mfa-status"),
    path("api/auth/mfa/verify", second_factor.VerifyView.as_view(), name="mfa-verify"),
    path("api/auth/mfa/totp", second_factor.TotpView.as_view(), name="mfa-totp"),
    path("api/auth/mfa/totp/confirm", second_factor.ConfirmView.as_view(), name="mfa-confirm"),
    path("api/auth/mfa/recovery-codes", second_factor.RecoveryCodesView.as_view(), name="mfa-recovery-codes"),
    path("api/auth/deletion/cancel", personal_data.CancelDeletionView.as_view(), name="deletion-cancel"),
    # Mails of a development machine
    path("dev/mail", dev_mail.list_mails, name="dev-mails"),
    path("dev/mail/<int:mail_id>", dev_mail.show_mail, name="dev-mail"),
    path(".well-known/jwks.json", accounts.JwksView.as_view(), name="jwks"),
    *(_OAUTH if settings.OAUTH else []),
    # Profile and personal data
    path("api/users/profile", accounts.ProfileView.as_view(), name="profile"),
    path("api/users/export", personal_data.ExportView.as_view(), name="user-export"),
    path("api/users/me", personal_data.OwnAccountView.as_view(), name="own-account"),
    # Subscriptions and billing: not imported where BILLING is off
    *(import_module("product.billing.urls").urlpatterns if settings.BILLING else []),
    *(_TEAMS if settings.TEAMS else []),
    *(_API_KEYS if settings.API_KEYS else []),
    # Added modules
    *(route for urls in added_module_files("product", "urls") for route in urls.urlpatterns),
    # Pages for people
    *page_urls,
]
