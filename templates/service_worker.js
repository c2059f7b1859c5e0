// Shows a page when the server cannot be reached, and does nothing else: no page of a person is ever kept by it.
const CACHE = "offline-{{ build|escapejs }}";
const PAGE = "{{ page_url|escapejs }}";
const FILES = new Set([{% for url in files %}"{{ url|escapejs }}", {% endfor %}]);

addEventListener("install", (event) => {
  // without cookies: the same words for everybody
  const page = new Request(PAGE, { credentials: "omit", cache: "reload" });
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([page, ...FILES]))
      .then(() => skipWaiting()),
  );
});

addEventListener("activate", (event) => {
  const clean = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  // the server is asked while this worker is still starting
  event.waitUntil(Promise.all([clean, registration.navigationPreload?.enable(), clients.claim()]));
});

async function visit(event) {
  try {
    return (await event.preloadResponse) || (await fetch(event.request));
  } catch {
    return (await caches.match(PAGE)) || Response.error();
  }
}

addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate" && event.request.method === "GET") event.respondWith(visit(event));
  else if (FILES.has(new URL(event.request.url).pathname))
    event.respondWith(caches.match(event.request).then((kept) => kept || fetch(event.request)));
});
