// A client of the Product API: authentication, refresh rotation, CSRF, problem errors and cursor pagination.
// `manage.py client typescript` writes this file once and leaves it; `schema.ts` is made anew each time.
import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths } from "./schema.js";
export type Login = components["schemas"]["Login"];
export type SecondFactorNeeded = components["schemas"]["HalfLogin"];
export type Problem = components["schemas"]["Problem"];

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
const REFRESH_LOCK = "saas-client-refresh";
// Operations whose answer may be a login. Those of someone logged in have ended every earlier one.
const MAY_LOG_IN =
  /\/api\/(auth\/(register|login|mfa\/verify|mfa\/totp|mfa\/totp\/confirm|password\/change|oauth\/[^/]+\/callback)|invitations\/register)$/;

/** Where the tokens of a bearer client are kept. For several tabs: one store that all of them read, such as localStorage. */
export interface TokenStore {
  read(): Tokens | null;
  write(tokens: Tokens | null): void;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

export interface Options {
  /** Such as `https://api.example.com`; in a browser also a path of the page's own host, such as `/backend`, or "". */
  baseUrl: string;
  /**
   * `bearer`: an access token in the header, renewed by a refresh token. `cookie`: the session cookie of a browser, with a CSRF
   * token for what writes; the page's origin must be in CORS_ALLOWED_ORIGINS.
   */
  auth?: "bearer" | "cookie";
  /** Of a bearer client. By default the tokens live in memory, and end with the page. */
  tokens?: TokenStore;
  /** The session has ended: ask the person to log in. */
  onSignedOut?: () => void;
  fetch?: (request: Request) => Promise<Response>;
}

/** A refusal, as the API states it (RFC 9457). `code` is stable; `errors` names the fields that are not valid. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: Record<string, string[]>;
  readonly requestId: string;
  readonly retryAfterSeconds: number | null;

  constructor(problem: Partial<Problem>, response: Response) {
    super(problem.detail ?? problem.title ?? `HTTP ${response.status}`);
    this.name = "ProblemError";
    this.status = response.status;
    this.code = problem.code ?? "unknown";
    this.errors = problem.errors ?? {};
    this.requestId = problem.request_id ?? response.headers.get("X-Request-ID") ?? "";
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    this.retryAfterSeconds = Number.isFinite(seconds) ? seconds : null;
  }
}

/** The data of an answer. Throws `ProblemError` for a refusal, and what `fetch` throws where there is no answer. */
export async function unwrap<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) {
    throw new ProblemError(typeof error === "object" && error !== null ? (error as Partial<Problem>) : {}, response);
  }
  return data as T;
}

/**
 * Every page of a list, one request for each: `for await (const page of pages((cursor) => unwrap(api.GET("/api/teams",
 * { params: { query: { cursor } } })))) …`
 */
export async function* pages<T extends { next: string | null }>(fetchPage: (cursor: string) => Promise<T>): AsyncGenerator<T> {
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: T = await fetchPage(cursor);
    yield page;
    cursor = page.next;
  }
}

/** Whether a login waits for its second factor: send `mfa_token` and a code to `verifySecondFactor`. */
export function needsSecondFactor(answer: Login | SecondFactorNeeded): answer is SecondFactorNeeded {
  return "mfa_token" in answer;
}

export class SaasClient {
  /** Every operation, typed by its path: `await unwrap(client.api.GET("/api/auth/me"))`. */
  readonly api: Client<paths>;
  private readonly options: Options;
  private readonly tokens: TokenStore;
  private readonly fetch: (request: Request) => Promise<Response>;
  private refreshing: Promise<boolean> | null = null;
  private csrfToken: Promise<string> | null = null;

  constructor(options: Options) {
    this.options = options;
    this.tokens = options.tokens ?? inMemory();
    this.fetch = options.fetch ?? ((request) => globalThis.fetch(request));
    this.api = createFetchClient<paths>({
      baseUrl: options.baseUrl,
      fetch: (request) => this.send(request),
      ...(this.usesCookie ? { credentials: "include" as const } : {}),
    });
  }

  async register(body: components["schemas"]["RegisterRequest"]): Promise<Login> {
    return unwrap(this.api.POST("/api/auth/register", { body }));
  }

  async login(email: string, password: string): Promise<Login | SecondFactorNeeded> {
    return unwrap(this.api.POST("/api/auth/login", { body: { email, password } }));
  }

  async verifySecondFactor(body: components["schemas"]["SecondFactorRequest"]): Promise<Login> {
    return unwrap(this.api.POST("/api/auth/mfa/verify", { body }));
  }

  /** Ends the session here and at the service; a session that has ended already is no error. */
  async logout(): Promise<void> {
    const { error, response } = await this.api.POST("/api/auth/logout");
    this.forget();
    if (!response.ok && response.status !== 401) throw new ProblemError(error ?? {}, response);
  }

  private get usesCookie(): boolean {
    return this.options.auth === "cookie";
  }

  private signedIn(login: Login): void {
    this.csrfToken = null; // a login has a token of its own
    if (!this.usesCookie) this.tokens.write({ accessToken: login.access_token, refreshToken: login.refresh_token });
  }

  private forget(): void {
    this.csrfToken = null;
    this.tokens.write(null);
  }

  private async send(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const answer = await (this.usesCookie ? this.sendWithCookie(request) : this.sendWithToken(request));
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json") ?? false;
    if (answer.ok && isJson && MAY_LOG_IN.test(pathname)) {
      const told = (await answer.clone().json()) as Partial<Login>;
      if (told.access_token !== undefined) this.signedIn(told as Login);
    }
    return answer;
  }

  /** As openapi-fetch puts an address together. */
  private address(path: string): string {
    return this.options.baseUrl.replace(/\/$/, "") + path;
  }

  // ── Bearer tokens ──────────────────────────────────────────────────────────────────────────────────────────────────

  private async sendWithToken(request: Request): Promise<Response> {
    const again = request.clone(); // a body can be sent once
    const used = this.tokens.read();
    const answer = await this.fetch(withToken(request, used));
    if (answer.status !== 401 || used === null || (await problemCode(answer)) !== "invalid_token") return answer;
    return (await this.refresh(used)) ? this.fetch(withToken(again, this.tokens.read())) : answer;
  }

  /** Renew the tokens once, however many requests wait for it: a refresh token works once. Whether there are new ones. */
  private refresh(used: Tokens): Promise<boolean> {
    this.refreshing ??= exclusively(() => this.exchange(used)).finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async exchange(used: Tokens): Promise<boolean> {
    const held = this.tokens.read();
    if (held === null) return false;
    if (held.accessToken !== used.accessToken) return true; // another request or tab was first
    const body = JSON.stringify({ refresh_token: held.refreshToken });
    const answer = await this.fetch(
      new Request(this.address("/api/auth/refresh"), { method: "POST", body, headers: { "Content-Type": "application/json" } }),
    );
    if (answer.ok) {
      this.signedIn((await answer.json()) as Login);
      return true;
    }
    if (answer.status !== 401) throw new ProblemError(await problemOf(answer), answer); // busy or away: the session goes on
    if (this.tokens.read()?.refreshToken !== held.refreshToken) return true; // another tab has exchanged it
    this.forget();
    this.options.onSignedOut?.();
    return false;
  }

  // ── The session cookie ─────────────────────────────────────────────────────────────────────────────────────────────

  private async sendWithCookie(request: Request): Promise<Response> {
    const again = request.clone();
    if (SAFE_METHODS.has(request.method)) return this.reportSignedOut(await this.fetch(request));
    const answer = await this.fetch(withCsrf(request, await this.csrf()));
    if (answer.status !== 403 || (await problemCode(answer)) !== "csrf_failed") return this.reportSignedOut(answer);
    this.csrfToken = null; // of another login
    return this.reportSignedOut(await this.fetch(withCsrf(again, await this.csrf())));
  }

  private csrf(): Promise<string> {
    this.csrfToken ??= this.fetchCsrf().catch((error: unknown) => {
      this.csrfToken = null;
      throw error;
    });
    return this.csrfToken;
  }

  private async fetchCsrf(): Promise<string> {
    const answer = await this.fetch(new Request(this.address("/api/auth/csrf"), { credentials: "include" }));
    if (!answer.ok) throw new ProblemError(await problemOf(answer), answer);
    return ((await answer.json()) as components["schemas"]["Csrf"]).csrf_token;
  }

  private async reportSignedOut(answer: Response): Promise<Response> {
    if (answer.status === 401 && (await problemCode(answer)) === "not_authenticated") this.options.onSignedOut?.();
    return answer;
  }
}

function withToken(request: Request, tokens: Tokens | null): Request {
  if (tokens !== null && !request.headers.has("Authorization")) {
    request.headers.set("Authorization", `Bearer ${tokens.accessToken}`);
  }
  return request;
}

function withCsrf(request: Request, token: string): Request {
  request.headers.set("X-CSRFToken", token);
  return request;
}

async function problemOf(answer: Response): Promise<Partial<Problem>> {
  try {
    return (await answer.clone().json()) as Partial<Problem>;
  } catch {
    return {}; // not ours: a proxy's page
  }
}

async function problemCode(answer: Response): Promise<string> {
  return (await problemOf(answer)).code ?? "";
}

/** One at a time in all tabs of a browser, where it has locks; elsewhere in this process alone. */
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  return locks === undefined ? work() : (locks.request(REFRESH_LOCK, work) as Promise<T>);
}

function inMemory(): TokenStore {
  let held: Tokens | null = null;
  return {
    read: () => held,
    write: (tokens) => {
      held = tokens;
    },
  };
}
