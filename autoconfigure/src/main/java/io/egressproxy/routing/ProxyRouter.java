package io.egressproxy.routing;

import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.Refuse;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Exhausted;
import io.egressproxy.routing.RouteTable.Route;
import io.egressproxy.service.Answer;
import io.egressproxy.service.FallbackPolicy;
import io.egressproxy.service.ProxyAnswers;
import io.egressproxy.service.ProxyServiceException;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Decides for every connection, and hands out the leases that connections hold. Thread-safe. */
public final class ProxyRouter {
    private static final Logger log = LoggerFactory.getLogger(ProxyRouter.class);
    private static final String NO_PROXY_FOR_IT = "the proxy service has no proxy for it";
    private static final String SERVICE_DOWN = "service_down";
    private static final Direct DISABLED = new Direct(Reason.DISABLED);

    private final RouteTable routes;
    private final @Nullable ProxyAnswers service;
    private final ProxyEventListener events;
    private final LongSupplier nanoTime;
    private final Throttle<Fallback> fallbackWarnings;
    private final Throttle<ExchangeId> directWarnings;
    private final Throttle<ProxyUrl> securityWarnings;

    /**
     * A router for these settings, with the built-in strategies only.
     *
     * @param settings the settings
     */
    public ProxyRouter(ProxySettings settings) {
        this(settings, name -> null);
    }

    /**
     * A router for these settings.
     *
     * @param settings the settings
     * @param strategies finds a strategy of the application's own by its name, or null
     * @throws io.egressproxy.settings.InvalidProxySettingsException if a pool names a strategy that does not exist
     */
    public ProxyRouter(ProxySettings settings, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        this(settings, strategies, null, ProxyEventListener.NONE);
    }

    /**
     * A router that asks a proxy service first.
     *
     * @param settings the settings
     * @param strategies finds a strategy of the application's own by its name, or null
     * @param service the service's answers, or null if there is no service
     * @param events told of each connection
     * @throws io.egressproxy.settings.InvalidProxySettingsException if a pool names a strategy that does not exist
     */
    public ProxyRouter(
            ProxySettings settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            @Nullable ProxyAnswers service,
            ProxyEventListener events) {
        this(settings, strategies, service, events, System::nanoTime);
    }

    ProxyRouter(
            ProxySettings settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            @Nullable ProxyAnswers service,
            ProxyEventListener events,
            LongSupplier nanoTime) {
        this.events = events;
        this.nanoTime = nanoTime;
        this.routes = new RouteTable(settings, strategies);
        this.service = service;
        this.fallbackWarnings = new Throttle<>(nanoTime);
        this.directWarnings = new Throttle<>(nanoTime);
        this.securityWarnings = new Throttle<>(nanoTime);
        if (settings.enabled()) {
            RouteSummary.log(settings, routes);
        }
    }

    /**
     * Whether clients are touched at all.
     *
     * @return {@code proxy.enabled}
     */
    public boolean isEnabled() {
        return routes.settings().enabled();
    }

    /**
     * The pools of the settings.
     *
     * @return each once, also where several exchanges share it
     */
    public Collection<ProxyPool> pools() {
        return routes.pools();
    }

    /**
     * Has somebody told when a proxy is left out: of a pool by its failures or its checks, or because the service's answer has
     * gone.
     *
     * @param listener gets the proxy; must not block, and must not ask the router back
     */
    public void onProxyOut(Consumer<ProxyUrl> listener) {
        pools().forEach(pool -> pool.onOut(listener));
        if (service != null) {
            service.onOut(listener);
        }
    }

    /**
     * The target of a connection of which only host and port are known.
     *
     * @param type what the connection is for
     * @param host the target's host as the client gave it
     * @param port the target's port
     * @return the target, with the exchange that claims the host, or else {@link ExchangeId#UNMATCHED}
     */
    public ProxyTarget target(ConnectionType type, String host, int port) {
        ExchangeId exchange = routes.exchangeOf(host);
        return new ProxyTarget(exchange == null ? ExchangeId.UNMATCHED : exchange, type, host, port);
    }

    /**
     * What a connection opened now would do, as far as that is known without asking the proxy service. Takes no lease.
     *
     * @param target where it would go
     * @return the decision; never direct where the service would have to be asked
     */
    public ProxyDecision decide(ProxyTarget target) {
        if (!isEnabled()) {
            return DISABLED;
        }
        Route route = routes.route(target);
        ProxyAnswers answers = serviceFor(target, route);
        if (answers == null) {
            return embeddedDecision(target, route);
        }
        Answer cached = answers.cached(target);
        return cached != null && cached.proxy() != null
                ? useProxy(cached.proxy(), route, Source.CACHE)
                : new Refuse("the proxy service is asked when a connection is opened");
    }

    /**
     * What a connection opened now would do. Asks the proxy service if need be, but takes no lease.
     *
     * @param target where it would go
     * @return the decision
     */
    public Mono<ProxyDecision> decideNow(ProxyTarget target) {
        return Mono.defer(() -> {
            Route route = routes.route(target);
            ProxyAnswers answers = isEnabled() ? serviceFor(target, route) : null;
            return answers == null
                    ? Mono.just(decide(target))
                    : delegated(
                            target,
                            List.of(),
                            new Delegated(answers, route, true),
                            lease -> Mono.just(lease.decision()));
        });
    }

    private ProxyDecision embeddedDecision(ProxyTarget target, Route route) {
        if (route instanceof Route.Pooled pooled) {
            ProxyPool.Preview next = pooled.pool().preview(target);
            return next == null
                    ? routes.decideExhausted(target, Exhausted.PROXIES.text(), false)
                    : new UseProxy(next.proxy(), next.timeout(), next.sslBundle(), pooled.source());
        }
        return route instanceof Route.Exempt exempt ? exempt.decision() : ((Route.Fixed) route).decision();
    }

    private @Nullable ProxyAnswers serviceFor(ProxyTarget target, Route route) {
        return service != null && !(route instanceof Route.Exempt) && service.serves(target.exchange())
                ? service
                : null;
    }

    /**
     * A lease for a connection that is about to be opened.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @return the lease; {@link ProxyConnectionException} if the connection is refused or no proxy is left
     */
    public Mono<ProxyLease> lease(ProxyTarget target, Collection<ProxyUrl> tried) {
        return Mono.defer(() -> {
            if (!isEnabled()) {
                return Mono.just(new Lease(target, DISABLED, null, null));
            }
            Route route = routes.route(target);
            ProxyAnswers answers = serviceFor(target, route);
            return answers == null
                    ? granted(lease(target, tried, route))
                    : delegated(target, tried, new Delegated(answers, route, false), this::granted);
        });
    }

    private Mono<ProxyLease> granted(Lease lease) {
        events.decided(lease.target(), lease.decision());
        Why fallback = lease.fallback;
        if (fallback != null) {
            events.fellBack(lease.target(), fallback.id(), lease.decision());
            explain(lease, fallback);
        }
        if (lease.decision() instanceof Refuse refuse) {
            return Mono.error(new ProxyConnectionException(lease.target(), List.of(), refuse.reason(), null));
        }
        if (lease.decision() instanceof Direct direct
                && (direct.reason() == Reason.FALLBACK || direct.reason() == Reason.DIRECTED)) {
            warnDirect(lease.target(), direct);
        }
        if (lease.answer != null && service != null) {
            service.connectionStarted(lease.target(), lease.answer);
        }
        return Mono.just(lease);
    }

    /** At most one line a minute for each exchange and reason. */
    private void explain(Lease lease, Why why) {
        if (why.equals(Why.NO_PROXY)) { // an answer like any other, and no trouble
            log.debug("{}: {}; instead {}", lease.target(), why.text(), lease.decision());
            return;
        }
        long count = fallbackWarnings.occurred(new Fallback(known(lease.target()), why.id()));
        if (count > 0) {
            log.warn(
                    "{}: {}; instead {} ({} such connection(s) since the last warning)",
                    lease.target(),
                    why.text(),
                    lease.decision(),
                    count);
        }
    }

    private record Fallback(ExchangeId exchange, String reason) {}

    /**
     * Why a connection does not get what was meant for it.
     *
     * @param id from the closed list of {@link ProxyEventListener#fellBack}
     * @param text for people
     */
    private record Why(String id, String text) {
        static final Why NO_PROXY = new Why("no_proxy", NO_PROXY_FOR_IT);
        static final Why NO_PROXY_LEFT = new Why("no_proxy_left", "no proxy is left for it");
        static final Why PROXY_FAILED = new Why("proxy_failed", "the proxy service has no other proxy for it");

        static Why of(Exception away) {
            String text = String.valueOf(away.getMessage());
            return new Why(
                    away instanceof ProxyServiceException known ? known.reason().id() : SERVICE_DOWN, text);
        }
    }

    /**
     * @param preview whether nothing is opened: no use of a pool's proxy is taken
     */
    private record Delegated(ProxyAnswers answers, Route route, boolean preview) {}

    /** The service's proxy; the embedded configuration where it has none, has failed, or is away. */
    private <T> Mono<T> delegated(
            ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated, Function<Lease, Mono<T>> then) {
        Lease atOnce = withoutAsking(target, tried, delegated);
        return atOnce != null
                ? then.apply(atOnce)
                : delegated
                        .answers()
                        .ask(target)
                        .map(answer -> by(answer, Source.SERVICE, target, tried, delegated))
                        .onErrorResume(
                                Exception.class,
                                away -> Mono.fromSupplier(() -> withoutService(target, tried, delegated, Why.of(away))))
                        .flatMap(then);
    }

    /** What is known already: by the answer that is kept, or since the service need not be asked. */
    private @Nullable Lease withoutAsking(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated) {
        ProxyAnswers answers = delegated.answers();
        Answer cached = answers.cached(target);
        Answer usable = cached != null && (cached.proxy() == null || !tried.contains(cached.proxy())) ? cached : null;
        if (usable != null && !answers.isAvoided(target, usable)) {
            return by(usable, Source.CACHE, target, tried, delegated);
        }
        boolean directed = isDirectedAfterFailure(target, tried, answers);
        if (cached != null || (!tried.isEmpty() && !directed)) { // meanwhile another answer may be on its way
            Embedded embedded = embedded(target, tried, delegated);
            Lease lease = embedded.lease();
            if (lease != null
                    && lease.decision() instanceof UseProxy) { // what is direct is no way round a failed proxy
                return lease.because(Why.PROXY_FAILED);
            }
        }
        if (usable != null) {
            return by(usable, Source.CACHE, target, tried, delegated);
        }
        String unavailable = answers.unavailable(target);
        return unavailable == null
                ? null
                : withoutService(target, tried, delegated, new Why(SERVICE_DOWN, unavailable));
    }

    /** Whether the service has said to connect directly if its proxy fails, and for this connection it did, by its own fault. */
    private static boolean isDirectedAfterFailure(
            ProxyTarget target, Collection<ProxyUrl> tried, ProxyAnswers answers) {
        Answer failed = failed(target, tried, answers);
        return failed != null && failed.fallbackPolicy() == FallbackPolicy.DIRECT_CONNECTION;
    }

    /** The answer whose proxy has failed for this connection by its own fault. */
    private static @Nullable Answer failed(ProxyTarget target, Collection<ProxyUrl> tried, ProxyAnswers answers) {
        Answer failed = tried.isEmpty() ? null : answers.failed(target);
        ProxyUrl proxy = failed == null ? null : failed.proxy();
        return proxy != null && tried.contains(proxy) ? failed : null;
    }

    private Lease by(
            Answer answer, Source source, ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated) {
        ProxyUrl proxy = answer.proxy();
        if (proxy != null && !tried.contains(proxy)) {
            return new Lease(target, useProxy(proxy, delegated.route(), source), null, answer);
        }
        boolean none = proxy == null && answer.fallbackPolicy() == FallbackPolicy.DIRECT_CONNECTION;
        if (none) {
            ProxyDecision decision =
                    routes.decideExhausted(target, NO_PROXY_FOR_IT + ", and says to connect directly", true);
            if (decision instanceof Direct) {
                return new Lease(target, decision, null, null).because(Why.NO_PROXY);
            }
        }
        return embeddedOrNone(
                target,
                tried,
                delegated,
                none || isDirectedAfterFailure(target, tried, delegated.answers()),
                proxy == null ? Why.NO_PROXY : Why.PROXY_FAILED);
    }

    private Lease withoutService(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated, Why why) {
        Answer stale = delegated.answers().stale(target);
        ProxyUrl proxy = stale == null ? null : stale.proxy();
        if (proxy != null && !tried.contains(proxy)) {
            return new Lease(target, useProxy(proxy, delegated.route(), Source.STALE), null, stale).because(why);
        }
        return embeddedOrNone(
                target, tried, delegated, isDirectedAfterFailure(target, tried, delegated.answers()), why);
    }

    private Lease embeddedOrNone(
            ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated, boolean directed, Why why) {
        Embedded embedded = embedded(target, tried, delegated);
        Lease lease = embedded.lease();
        if (lease == null) {
            String whole = why.text() + ", and " + embedded.reason();
            lease = new Lease(
                    target,
                    embedded.proxiesLeft() ? new Refuse(whole) : routes.decideExhausted(target, whole, directed),
                    null,
                    null);
        }
        return lease.because(why);
    }

    /** What the embedded configuration has for it, if it may be used and has anything. */
    private Embedded embedded(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated) {
        if (!routes.settings().externalService().fallbackToEmbedded()) {
            return new Embedded(null, "proxy.external-service.fallback-to-embedded is false", false);
        }
        Embedded embedded;
        if (delegated.preview()) {
            embedded = new Embedded(
                    new Lease(target, embeddedDecision(target, delegated.route()), null, null),
                    "no embedded proxy is left for it",
                    false);
        } else {
            embedded = embedded(target, tried, delegated.route());
        }
        Lease lease = embedded.lease();
        boolean serves = lease != null
                && (lease.decision() instanceof UseProxy
                        || (lease.decision() instanceof Direct direct
                                && direct.reason() == Reason.CONFIGURED
                                // what may be the target's fault is no reason to go round the service's proxy
                                && (tried.isEmpty() || failed(target, tried, delegated.answers()) != null)));
        // "nothing is configured" means direct only where no service is
        return lease == null || serves ? embedded : new Embedded(null, "no embedded proxy is configured for it", false);
    }

    private static UseProxy useProxy(ProxyUrl proxy, Route route, Source source) {
        boolean another = route instanceof Route.Pooled
                || (route instanceof Route.Fixed fixed && fixed.decision() instanceof UseProxy);
        return new UseProxy(
                proxy, another ? ProxyEntry.DEFAULT_ATTEMPT_TIMEOUT : ProxyEntry.DEFAULT_TIMEOUT, null, source);
    }

    private Lease lease(ProxyTarget target, Collection<ProxyUrl> tried, Route route) {
        Embedded embedded = embedded(target, tried, route);
        if (embedded.lease() != null) {
            return embedded.lease();
        }
        return new Lease(
                        target,
                        embedded.proxiesLeft()
                                ? new Refuse(embedded.reason())
                                : routes.decideExhausted(target, embedded.reason(), false),
                        null,
                        null)
                .because(Why.NO_PROXY_LEFT);
    }

    /**
     * What the embedded configuration has.
     *
     * @param lease of a proxy, or for whatever else is configured; null if no proxy is to be had
     * @param reason why not
     * @param proxiesLeft whether proxies are left, and only this connection gets none of them: then it does not go directly
     */
    private record Embedded(@Nullable Lease lease, String reason, boolean proxiesLeft) {}

    private Embedded embedded(ProxyTarget target, Collection<ProxyUrl> tried, Route route) {
        if (route instanceof Route.Pooled pooled) {
            return embedded(target, tried, pooled);
        }
        ProxyDecision decision =
                route instanceof Route.Exempt exempt ? exempt.decision() : ((Route.Fixed) route).decision();
        return decision instanceof UseProxy use && tried.contains(use.proxy())
                ? new Embedded(null, "no other proxy is configured for it", false)
                : new Embedded(new Lease(target, decision, null, null), "", false);
    }

    private Embedded embedded(ProxyTarget target, Collection<ProxyUrl> tried, Route.Pooled pooled) {
        ProxyPool pool = pooled.pool();
        ProxyPool.Grant grant = pool.acquire(target, tried);
        if (grant instanceof ProxyPool.Use use) {
            UseProxy decision = new UseProxy(use.proxy(), use.timeout(), use.sslBundle(), pooled.source());
            return new Embedded(new Lease(target, decision, use, null), "", false);
        }
        Exhausted reason = ((ProxyPool.Grant.None) grant).reason();
        if (pool.onExhausted() == OnExhausted.DEFAULT && pooled.source() == Source.EXCHANGE) {
            Route handedTo = routes.defaultRoute(target);
            boolean proxied = handedTo instanceof Route.Pooled
                    || (handedTo instanceof Route.Fixed fixed && fixed.decision() instanceof UseProxy);
            if (proxied) { // a default that is direct, or not there, is no way out of a proxied exchange
                Embedded byDefault = embedded(target, tried, handedTo);
                // the default may have none left while the exchange's own pool has
                return byDefault.lease() != null || reason == Exhausted.PROXIES
                        ? byDefault
                        : new Embedded(null, byDefault.reason(), true);
            }
        }
        return new Embedded(null, reason.text(), reason != Exhausted.PROXIES);
    }

    /** At most one line a minute for each exchange; ids without routes of their own never fall back under their name. */
    private void warnDirect(ProxyTarget target, Direct direct) {
        long count = directWarnings.occurred(known(target));
        if (count > 0) {
            log.warn(
                    "{}: no proxy is left, connecting DIRECTLY since {} ({} such connection(s) since the last warning)",
                    target,
                    direct.reason() == Reason.DIRECTED
                            ? "the proxy service says so"
                            : "proxy.direct-fallback is always",
                    count);
        }
    }

    private ExchangeId known(ProxyTarget target) {
        return routes.settings().exchanges().containsKey(target.exchange()) ? target.exchange() : ExchangeId.DEFAULT;
    }

    /** Somebody may be listening in where a certificate is not the proxy's; at most one line a minute for each proxy. */
    private void warnOfTls(ProxyTarget target, ProxyUrl proxy, Outcome.Failed failure) {
        long count = securityWarnings.occurred(proxy);
        if (count > 0) {
            log.warn(
                    "SECURITY: TLS with the proxy {} failed for {}: it {} ({} such failure(s) since the last warning)",
                    proxy,
                    target,
                    failure.detail(),
                    count);
        }
    }

    private final class Lease implements ProxyLease {
        private final ProxyTarget target;
        private final ProxyDecision decision;
        private final ProxyPool.@Nullable Use use;
        private final @Nullable Answer answer;
        private final AtomicBoolean closed = new AtomicBoolean();
        private final AtomicBoolean told = new AtomicBoolean();
        private final long startNanos;
        private @Nullable Why fallback;

        Lease(ProxyTarget target, ProxyDecision decision, ProxyPool.@Nullable Use use, @Nullable Answer answer) {
            this.target = target;
            this.decision = decision;
            this.use = use;
            this.answer = answer;
            this.startNanos = events == ProxyEventListener.NONE ? 0 : nanoTime.getAsLong();
        }

        /** Notes, before anybody else has it, that something else was meant for the connection. */
        Lease because(Why reason) {
            fallback = reason;
            return this;
        }

        @Override
        public ProxyTarget target() {
            return target;
        }

        @Override
        public ProxyDecision decision() {
            return decision;
        }

        @Override
        public void established(Duration latency) {
            if (use != null) {
                use.established();
            }
            turnedOut(new Outcome.Succeeded(latency));
        }

        /** Tells the service, once: what happens to a connection after it has been of use is not the proxy's. */
        private void turnedOut(Outcome outcome) {
            if (answer != null && service != null && told.compareAndSet(false, true)) {
                service.connectionTurnedOut(target, answer, outcome);
            }
        }

        private void report(ProxyAnswers answers, Answer leased, Outcome.Failed failed) {
            switch (failed.blame()) {
                case PROXY, CREDENTIALS, CONFIGURATION -> answers.failed(target, leased);
                case AMBIGUOUS, POLICY -> answers.failedForTarget(target, leased);
                case TARGET, LOCAL -> {
                    // says nothing about the proxy
                }
            }
        }

        @Override
        public void close(Outcome outcome) {
            if (closed.compareAndSet(false, true)) {
                log.debug("{} {} ended: {}", target, decision, outcome);
                if (use != null) {
                    use.close(outcome);
                }
                if (answer != null && service != null) {
                    turnedOut(outcome);
                    service.connectionClosed(target, answer);
                    if (outcome instanceof Outcome.Failed failed) {
                        report(service, answer, failed);
                    }
                }
                if (outcome instanceof Outcome.Failed failed
                        && failed.stage() == ConnectionStage.TLS
                        && decision instanceof UseProxy proxied) {
                    warnOfTls(target, proxied.proxy(), failed);
                }
                if (events != ProxyEventListener.NONE && decision != DISABLED) { // last: somebody else's code
                    events.ended(target, decision, outcome, Duration.ofNanos(nanoTime.getAsLong() - startNanos));
                }
            }
        }
    }
}
