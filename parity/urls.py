"""Routes of the Parity API, port 8002: the authentication contract in camelCase.

Every route is served twice: without a prefix, as the starter's clients call it, and under ``/api``.
"""

from django.conf import settings
from django.urls import include, path

from parity.camel_case import camel_case_view
from parity.modules import MODULES
from saas.api.accounts import personal_data, second_factor, security
from saas.api.accounts import views as accounts
from saas.api.pages.start import start_page
from saas.api.service_urls import common_urls, handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

contract = [
    # Authentication
    *(
        [path("auth/register", camel_case_view(accounts.RegisterView), name="register")]
        if settings.REGISTRATION == "open"
        else []
    ),
    path("auth/login", camel_case_view(accounts.LoginView), name="login"),
    path("auth/refresh", camel_case_view(accounts.RefreshView), name="refresh"),
    path("auth/logout", camel_case_view(accounts.LogoutView), name="logout"),
    path("auth/logout-all", camel_case_view(accounts.LogoutAllView), name="logout-all"),
    path("auth/csrf", camel_case_view(accounts.CsrfView), name="csrf"),
    path("auth/me", camel_case_view(accounts.MeView), name="me"),
    path("auth/sessions", camel_case_view(accounts.SessionsView), name="sessions"),
    path("auth/sessions/<str:sid>", camel_case_view(accounts.SessionView), name="session"),
    path("auth/reauthenticate", camel_case_view(security.ReauthenticateView), name="reauthenticate"),
    path("auth/password/change", camel_case_view(security.ChangePasswordView), name="password-change"),
    path("auth/password/forgot", camel_case_view(security.ForgotPasswordView), name="password-forgot"),
    path("auth/password/reset", camel_case_view(security.ResetPasswordView), name="password-reset"),
    path("auth/email/verify", camel_case_view(security.VerifyEmailView), name="email-verify"),
    path("auth/email/verify/preview", camel_case_view(security.PreviewVerificationView), name="email-verify-preview"),
    path("auth/email/disown", camel_case_view(security.ReportUnrecognizedView), name="email-disown"),
    path("auth/email/resend", camel_case_view(security.ResendVerificationView), name="email-resend"),
    path("auth/email/change", camel_case_view(security.ChangeEmailView), name="email-change"),
    # Second factor
    path("auth/mfa", camel_case_view(second_factor.StatusView), name="mfa-status"),
    path("auth/mfa/verify", camel_case_view(second_factor.VerifyView), name="mfa-verify"),
    path("auth/mfa/totp", camel_case_view(second_factor.TotpView), name="mfa-totp"),
    path("auth/mfa/totp/confirm", camel_case_view(second_factor.ConfirmView), name="mfa-confirm"),
    path("auth/mfa/recovery-codes", camel_case_view(second_factor.RecoveryCodesView), name="mfa-recovery-codes"),
    # Profile, and a person's data
    path("users/profile", camel_case_view(accounts.ProfileView), name="profile"),
    path("users/export", camel_case_view(personal_data.ExportView), name="user-export"),
    path("users/me", camel_case_view(personal_data.OwnAccountView), name="own-account"),
    path("auth/deletion/cancel", camel_case_view(personal_data.CancelDeletionView), name="deletion-cancel"),
]

_ABOUT = "The authentication contract in camelCase, on the accounts of the Product API."

urlpatterns = [
    path("", start_page("Parity API", _ABOUT), name="start"),
    *common_urls("Parity API", _ABOUT, MODULES),
    path("", include(contract)),
    path("api/", include(contract)),
]
