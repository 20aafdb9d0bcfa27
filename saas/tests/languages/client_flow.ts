// A person's way through Product with the generated client: by tokens, and as a browser by cookie.
import { type Tokens, needsSecondFactor, pages, ProblemError, SaasClient, unwrap } from "saas-client";

declare const process: { argv: string[] };
const [baseUrl, email, password] = process.argv.slice(2) as [string, string, string];

let held: Tokens | null = null;
let signedOut = 0;
const called: string[] = [];
const client = new SaasClient({
  baseUrl,
  tokens: {
    read: () => held,
    write: (tokens) => {
      held = tokens;
    },
  },
  onSignedOut: () => {
    signedOut += 1;
  },
  fetch: (request) => {
    called.push(new URL(request.url).pathname);
    return fetch(request);
  },
});

const refreshes = () => called.filter((path) => path === "/api/auth/refresh").length;
const broken = () => {
  if (held !== null) held = { ...held, accessToken: "not.a.token" };
};
const codeOf = async (work: Promise<unknown>) => {
  try {
    await work;
    return "none";
  } catch (error) {
    return error instanceof ProblemError ? `${error.status} ${error.code} ${Object.keys(error.errors).join()}` : "another";
  }
};

// Tokens
const registered = await client.register({ email, password, full_name: "Tess Script" });
const again = await client.login(email, password);
broken();
const names = await Promise.all(
  Array.from({ length: 5 }, async () => (await unwrap(client.api.GET("/api/auth/me"))).user.full_name),
);
const refreshedOnce = refreshes();
broken();
const renamed = await unwrap(client.api.PATCH("/api/users/profile", { body: { display_name: "Tess" } })); // a body, sent twice
const invalid = await codeOf(unwrap(client.api.PATCH("/api/users/profile", { body: { timezone: "Nowhere" } })));
const wrong = await codeOf(client.login(email, "a wrong password"));
const passwords = { current_password: password, new_password: `${password}, anew` };
await unwrap(client.api.POST("/api/auth/password/change", { body: passwords })); // ends the login that sent it
const stillIn = (await unwrap(client.api.GET("/api/auth/me"))).user.full_name;
const refreshedAgain = refreshes();
const back = { current_password: passwords.new_password, new_password: password };
await unwrap(client.api.POST("/api/auth/password/change", { body: back }));
const behindPath = new SaasClient({
  baseUrl: `${baseUrl}/backend`,
  auth: "cookie",
  fetch: async (request) => {
    called.push(new URL(request.url).pathname);
    return Response.json({ csrf_token: "a" });
  },
});
await behindPath.api.POST("/api/auth/logout");
const below = called.slice(-2);
const sessions: string[] = [];
for await (const page of pages((cursor) =>
  unwrap(client.api.GET("/api/auth/sessions", { params: { query: { cursor, limit: 1 } } })),
)) {
  sessions.push(...page.sessions.map((session) => session.id));
}
const used: Tokens | null = held;
await client.logout();
const afterLogout = held;
held = used; // as a tab that missed it
const ended = await codeOf(unwrap(client.api.GET("/api/auth/me")));

// A browser's cookies
const jar = new Map<string, string>();
const browser = new SaasClient({
  baseUrl,
  auth: "cookie",
  fetch: async (request) => {
    request.headers.set("Cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
    const answer = await fetch(request);
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = (line.split(";")[0] ?? "").split("=") as [string, string];
      jar.set(name, value);
    }
    return answer;
  },
});
const byCookie = await browser.login(email, password);
const team = await unwrap(browser.api.POST("/api/teams", { body: { name: "Typed" } }));
jar.delete("product_csrf"); // as after another tab's login
const changed = await unwrap(browser.api.PATCH("/api/users/profile", { body: { display_name: "By cookie" } }));
await browser.logout();
const noSession = await codeOf(unwrap(browser.api.GET("/api/auth/me")));

console.log(
  JSON.stringify({
    user: registered.user.full_name,
    again: !needsSecondFactor(again) && again.user.id === registered.user.id,
    names,
    refreshedOnce,
    renamed: renamed.display_name,
    invalid,
    wrong,
    stillIn,
    refreshedAgain,
    below,
    sessions: new Set(sessions).size,
    afterLogout,
    ended,
    signedOut,
    byCookie: !needsSecondFactor(byCookie),
    team: team.team.name,
    changed: changed.display_name,
    noSession,
  }),
);
