// Where the page begins: finds out who is signed in, shows the page of the address, keeps the live stream.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, Problem, whenSignedOut, type User } from "./api";
import { alerts } from "./alerts";
import { live } from "./live";
import { AlertBanner } from "./parts/alert";
import { Banner } from "./parts/banner";
import { Frame } from "./parts/frame";
import { Alert, Notice } from "./parts/notice";
import { DevicePage } from "./pages/device";
import { StepUpDialog } from "./parts/stepup";
import { DevicesPage } from "./pages/devices";
import { EventPage } from "./pages/event";
import { LoginPage } from "./pages/login";
import { NotificationsPage } from "./pages/notifications";
import { SecurityPage } from "./pages/security";
import { SettingsPage } from "./pages/settings";
import { SetupPage } from "./pages/setup";
import { TimelinePage } from "./pages/timeline";
import { TrustPage } from "./pages/trust";
import { goOn } from "./push";
import { filterOf, forgetFeed } from "./feed";
import { go, useRoute, useSearch } from "./route";
import { applyTheme } from "./theme";
import "./worker";
import "./style.css";

function Page({ path, search, user, onGone }: { path: string; search: string; user: User; onGone: () => void }) {
  const event = /^\/events\/([^/]+)$/.exec(path);
  const device = /^\/devices\/([^/]+)$/.exec(path);
  if (path === "/") return <TimelinePage user={user} filter={filterOf(search)} />;
  // Another id is another page: nothing of the one before may stay.
  if (event?.[1]) return <EventPage key={path} id={decodeURIComponent(event[1])} user={user} />;
  if (device?.[1]) return <DevicePage key={path} id={decodeURIComponent(device[1])} user={user} />;
  if (path === "/devices") return <DevicesPage user={user} />;
  if (path === "/notifications") return <NotificationsPage user={user} />;
  if (path === "/settings") return <SettingsPage user={user} onGone={onGone} />;
  if (path === "/security") return <SecurityPage user={user} />;
  return <Notice title="There is no such page"><p>The address may be old. <a href="/">Go to the timeline</a>.</p></Notice>;
}

function ErasedPage() {
  useEffect(() => { document.title = "Erased · Porchlight"; }, []);
  return (
    <main id="main" tabIndex={-1}>
      <Notice title="Everything is gone">
        <p role="status">The household is erased from the hub, with its people, devices, clips, events and notifications. Nobody can sign in to it any more.</p>
        <p>Backups and exports that were made before are not reached: where they should not stay, delete them as well.</p>
      </Notice>
    </main>
  );
}

function App() {
  const path = useRoute();
  const search = useSearch();
  const [user, setUser] = useState<User | null>(null);
  const [asked, setAsked] = useState(false);
  const [away, setAway] = useState(false);
  const [erased, setErased] = useState(false);
  const [stuck, setStuck] = useState<string | null>(null); // why signing out did not happen

  useEffect(() => {
    whenSignedOut(() => {
      live.stop();
      alerts.forget();
      forgetFeed();
      setUser(null);
    });
    // The worker shows this page also without the hub: then it waits, instead of asking for a password in vain.
    const ask = () =>
      api.me()
        .then((now) => { setAway(false); setUser(now); }, (failed) => {
          const gone = failed instanceof Problem && failed.status === 0;
          setAway(gone);
          if (gone) setTimeout(ask, 3000);
        })
        .finally(() => setAsked(true));
    ask();
  }, []);
  useEffect(() => {
    if (!user) return;
    live.start();
    goOn(user.name).catch(() => undefined);
  }, [user]);

  const welcome = (now: User) => {
    setStuck(null);
    setUser(now);
    if (path === "/login" || path === "/setup") go("/", true);
  };
  // Only the hub can end the sign-in: without its word the person is still signed in, and must know it.
  const signOut = async () => {
    setStuck(null);
    try {
      await api.logout();
    } catch (failed) {
      const { status, message } = failed as Problem;
      // Nobody was signed in any more: that is as good.
      if (status !== 401)
        return setStuck(`You are still signed in. ${status === 0 ? "The hub cannot be reached: sign out again once it can." : message}`);
    }
    live.stop();
    alerts.forget();
    forgetFeed();
    setUser(null);
    go("/login");
  };

  if (path === "/trust") return <TrustPage />;
  // The household was erased: nobody is anybody here any more.
  const gone = () => {
    live.stop();
    alerts.forget();
    forgetFeed();
    setErased(true);
    setUser(null);
    go("/login", true);
  };

  if (path === "/setup") return <SetupPage onDone={welcome} />;
  if (erased) return <ErasedPage />;
  if (away) return <main id="main"><Notice title="The hub cannot be reached"><p role="status">Check that you are on the right network. This page goes on by itself.</p></Notice></main>;
  if (!asked) return <p class="waiting" role="status">Loading…</p>;
  if (!user || path === "/login") return <LoginPage onDone={welcome} />;
  return (
    <Frame path={path} user={user} onSignOut={signOut}>
      <AlertBanner user={user} path={path} />
      <Banner user={user} />
      <Alert text={stuck} />
      <Page path={path} search={search} user={user} onGone={gone} />
      <StepUpDialog />
    </Frame>
  );
}

// Links to our own pages do not load anew.
document.addEventListener("click", (click) => {
  const link = (click.target as Element).closest?.("a");
  if (!link || click.defaultPrevented || click.button !== 0 || click.metaKey || click.ctrlKey || click.shiftKey) return;
  if (link.origin !== location.origin || link.hasAttribute("download") || link.target || link.hash) return;
  if (/\.[a-z]+$/.test(link.pathname)) return; // a file of the hub's, such as its certificate
  click.preventDefault();
  go(link.pathname + link.search);
  document.getElementById("main")?.focus();
});

applyTheme();
const root = document.getElementById("app");
if (root) render(<App />, root);
