package io.egressproxy.routing;

import io.egressproxy.ConnectionStage;
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
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * What is decided by one set of settings, and by the answers of one proxy service. Never changes: a reload makes another, and a lease reports to
 * the one that it came from. Thread-safe.
 */
final class Decisions {
    private static final Logger log = LoggerFactory.getLogger(ProxyRouter.class);
    private static final String NO_PROXY_FOR_IT = "the proxy service has no proxy for it";
    private static final String SERVICE_DOWN = "service_down";
    private static final Direct DISABLED = new Direct(Reason.DISABLED);

    private final RouteTable routes;
    private final @Nullable ProxyAnswers service;
    private final ProxyEventListener events;
    private final boolean timed;
    private final DecisionLog decisionLog;
    private final LongSupplier nanoTime;

    /**
     * Decisions.
     *
     * @param routes where the settings lead
     * @param service the service's answers, or null if there is no service
     * @param events told of each connection
     * @param decisionLog warns, whatever the settings, once a minute
     * @param nanoTime the monotonic clock
     */
    Decisions(
            RouteTable routes,
            @Nullable ProxyAnswers service,
            ProxyEventListener events,
            DecisionLog decisionLog,
            LongSupplier nanoTime) {
        this.routes = routes;
        this.service = service;
        this.events = events;
        this.timed = events.hearsConnections();
        this.decisionLog = decisionLog;
        this.nanoTime = nanoTime;
    }

    RouteTable table() {
        return routes;
    }

    @Nullable
    ProxyAnswers answers() {
        return service;
    }

    /** Whether the service is asked for connections of an exchange. */
    boolean asksFor(ExchangeId exchange) {
        return service != null && service.serves(exchange);
    }

    /**
     * What a connection opened now would do, as far as that is known without asking the proxy service. Takes no lease.
     *
     * @param target where it would go
     * @return the decision; never direct where the service would have to be asked
     */
    ProxyDecision decide(ProxyTarget target) {
        if (!isEnabled()) {
            return DISABLED;
        }
        Route route = routes.route(target);
        ProxyAnswers answers = serviceFor(target, route);
        if (answers == null) {
            return embeddedDecision(target, route, Steps.NONE);
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
    Mono<ProxyDecision> decideNow(ProxyTarget target) {
        Route route = routes.route(target);
        ProxyAnswers answers = isEnabled() ? serviceFor(target, route) : null;
        return answers == null
                ? Mono.just(decide(target))
                : delegated(target, new Delegated(answers, route, Steps.NONE));
    }

    /**
     * What a connection opened now would do, and how that comes about. Asks the proxy service if need be, but takes no lease.
     *
     * @param target where it would go
     * @return the decision with the steps that lead to it
     */
    Mono<ProxyRouter.Explanation> explain(ProxyTarget target) {
        if (!isEnabled()) {
            return Mono.just(new ProxyRouter.Explanation(DISABLED, List.of("proxy.enabled is false")));
        }
        Route route = routes.route(target);
        Steps steps = Steps.wanted();
        routes.describe(target, route).forEach(steps::add);
        ProxyAnswers answers = serviceFor(target, route);
        Mono<ProxyDecision> decision;
        if (answers == null) {
            if (service != null && !(route instanceof Route.Exempt)) {
                steps.add("it is outside rollout-percent ("
                        + routes.settings().externalService().rolloutPercent()
                        + "), and the proxy service is not asked for it");
            }
            decision = Mono.fromSupplier(() -> embeddedDecision(target, route, steps));
        } else {
            decision = delegated(target, new Delegated(answers, route, steps));
        }
        return decision.map(made -> new ProxyRouter.Explanation(made, steps.list()));
    }

    private ProxyDecision embeddedDecision(ProxyTarget target, Route route, Steps steps) {
        if (route instanceof Route.Pooled pooled) {
            return preview(target, pooled, steps);
        }
        ProxyDecision decision =
                route instanceof Route.Exempt exempt ? exempt.decision() : ((Route.Fixed) route).decision();
        if (steps.areWanted() && route instanceof Route.Fixed) {
            steps.add("its settings say " + decision);
        }
        return decision;
    }

    private ProxyDecision preview(ProxyTarget target, Route.Pooled pooled, Steps steps) {
        ProxyPool pool = pooled.pool();
        if (steps.areWanted()) {
            steps.add("pool " + pool.name() + " (" + pool.strategy() + "): " + RouteSummary.members(pool));
        }
        ProxyPool.Preview next = pool.preview(target);
        if (next != null) {
            if (steps.areWanted()) {
                steps.add("the pool gives " + next.proxy() + ": " + next.why());
            }
            return new UseProxy(next.proxy(), next.timeout(), next.sslBundle(), pooled.source());
        }
        Route handedTo = handedOver(target, pooled);
        if (handedTo != null) {
            steps.add("no proxy of the pool is usable, and on-exhausted hands over to the default");
            return embeddedDecision(target, handedTo, steps);
        }
        steps.add("no proxy of the pool is usable; direct-fallback is "
                + routes.settings().directFallback().name().toLowerCase(Locale.ROOT));
        return routes.decideExhausted(target, Exhausted.PROXIES.text(), false);
    }

    /** The default's route, if that is what an exhausted pool hands over to; one that is direct, or not there, is no way out. */
    private @Nullable Route handedOver(ProxyTarget target, Route.Pooled pooled) {
        if (pooled.pool().onExhausted() != OnExhausted.DEFAULT || pooled.source() != Source.EXCHANGE) {
            return null;
        }
        Route handedTo = routes.defaultRoute(target);
        return handedTo.isProxied() ? handedTo : null;
    }

    private boolean isEnabled() {
        return routes.settings().enabled();
    }

    /**
     * Whether a connection that was opened earlier, when other settings may have been in force, is one that could be opened for a target
     * today.
     */
    boolean leadsTo(ProxyTarget target, ProxyDecision earlier) {
        Route route = routes.route(target);
        ProxyAnswers answers = serviceFor(target, route);
        boolean embedded =
                answers == null || routes.settings().externalService().fallbackToEmbedded();
        if (earlier instanceof UseProxy use) {
            return (answers != null && answers.leadTo(use.proxy()))
                    || (embedded && (has(route, use.proxy()) || isHandedOverTo(target, route, use.proxy())));
        }
        return answers == null
                && earlier instanceof Direct
                && !(route instanceof Route.Pooled)
                && embeddedDecision(target, route, Steps.NONE) instanceof Direct;
    }

    private boolean isHandedOverTo(ProxyTarget target, Route route, ProxyUrl proxy) {
        Route handedTo = route instanceof Route.Pooled pooled ? handedOver(target, pooled) : null;
        return handedTo != null && has(handedTo, proxy);
    }

    private static boolean has(Route route, ProxyUrl proxy) {
        return route instanceof Route.Pooled pooled
                ? pooled.pool().has(proxy)
                : route instanceof Route.Fixed fixed
                        && fixed.decision() instanceof UseProxy use
                        && use.proxy().equals(proxy);
    }

    private @Nullable ProxyAnswers serviceFor(ProxyTarget target, Route route) {
        return service != null && !(route instanceof Route.Exempt) && service.serves(target.exchange())
                ? service
                : null;
    }

    /**
     * A lease for a connection that is about to be opened, if it is known at once what it does.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @param router knows whether these decisions are still in force
     * @return the lease, or null if the proxy service has to be {@linkplain #leaseByAsking asked}
     * @throws ProxyConnectionException if the connection is refused or no proxy is left
     * @throws OutdatedException if other settings are being put in force
     */
    @Nullable
    ProxyLease leaseAtOnce(ProxyTarget target, Collection<ProxyUrl> tried, ProxyRouter router)
            throws ProxyConnectionException {
        if (!isEnabled()) {
            return new Lease(target, DISABLED, null, null);
        }
        Route route = routes.route(target);
        ProxyAnswers answers = serviceFor(target, route);
        if (answers == null) {
            return granted(lease(target, tried, route));
        }
        Lease lease = withoutAsking(target, tried, new Delegated(answers, route, null));
        return lease == null ? null : grantedIfInForce(lease, router);
    }

    /**
     * A lease for a connection that is about to be opened, as the proxy service says.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @param router knows whether these decisions are still in force, and asks again if not
     * @return the lease; {@link ProxyConnectionException} if the connection is refused or no proxy is left
     */
    Mono<ProxyLease> leaseByAsking(ProxyTarget target, Collection<ProxyUrl> tried, ProxyRouter router) {
        Route route = routes.route(target);
        ProxyAnswers answers = isEnabled() ? serviceFor(target, route) : null;
        Mono<ProxyLease> lease = answers == null // the settings have changed meanwhile
                ? Mono.fromCallable(() -> leaseAtOnce(target, tried, router))
                : asked(target, tried, new Delegated(answers, route, null))
                        .flatMap(made -> Mono.fromCallable(() -> grantedIfInForce(made, router)));
        return lease.onErrorResume(OutdatedException.class, changed -> router.leaseAgain(this, target, tried));
    }

    private ProxyLease grantedIfInForce(Lease lease, ProxyRouter router) throws ProxyConnectionException {
        if (router.isInForce(this)) {
            return granted(lease);
        }
        lease.discard(); // the service may have taken its time, and meanwhile the settings have changed
        throw new OutdatedException();
    }

    /** Everybody is told of it, and it is nobody's yet. */
    private ProxyLease granted(Lease lease) throws ProxyConnectionException {
        ProxyTarget target = lease.target();
        ProxyDecision decision = lease.decision();
        Why fallback = lease.fallback;
        String correlationId = lease.correlationId();
        if (timed) {
            events.decided(target, decision, correlationId);
        }
        decisionLog.decided(target, decision, correlationId);
        if (fallback != null) {
            events.fellBack(target, fallback.id(), decision, correlationId);
            boolean trouble = !fallback.id().equals(Why.NO_PROXY); // that is an answer like any other
            decisionLog.fellBack(known(target), lease, fallback.id(), fallback.text(), correlationId, trouble);
        }
        if (decision instanceof Refuse refuse) {
            throw new ProxyConnectionException(target, List.of(), refuse.reason(), null);
        }
        if (decision instanceof Direct direct
                && (direct.reason() == Reason.FALLBACK || direct.reason() == Reason.DIRECTED)) {
            decisionLog.direct(known(target), target, direct);
        }
        if (lease.answer != null && service != null) {
            service.connectionStarted(target, lease.answer);
        }
        return lease;
    }

    /**
     * Why a connection does not get what was meant for it.
     *
     * @param id from the closed list of {@link ProxyEventListener#fellBack}
     * @param text for people
     * @param correlationId of the request to the service that led to it, or null
     */
    private record Why(String id, String text, @Nullable String correlationId) {
        static final String NO_PROXY = "no_proxy";
        static final Why NO_PROXY_LEFT = new Why("no_proxy_left", "no proxy is left for it", null);

        static Why noProxy(Answer answer) {
            return new Why(NO_PROXY, NO_PROXY_FOR_IT, answer.correlationId());
        }

        static Why proxyFailed(@Nullable Answer failed) {
            return new Why(
                    "proxy_failed",
                    "the proxy service has no other proxy for it",
                    failed == null ? null : failed.correlationId());
        }

        static Why of(Exception away) {
            String text = String.valueOf(away.getMessage());
            return away instanceof ProxyServiceException known
                    ? new Why(known.reason().id(), text, known.correlationId())
                    : new Why(SERVICE_DOWN, text, null);
        }
    }

    /**
     * @param steps not null if nothing is opened, and no use of a pool's proxy is taken; told of each step
     */
    private record Delegated(ProxyAnswers answers, Route route, @Nullable Steps steps) {
        void say(String step) {
            if (steps != null) {
                steps.add(step);
            }
        }

        boolean isExplained() {
            return steps != null && steps.areWanted();
        }
    }

    /** What is decided where the service may have to be asked; nothing is opened. */
    private Mono<ProxyDecision> delegated(ProxyTarget target, Delegated delegated) {
        Lease atOnce = withoutAsking(target, List.of(), delegated);
        return (atOnce != null ? Mono.just(atOnce) : asked(target, List.of(), delegated)).map(Lease::decision);
    }

    /** The service's proxy; the embedded configuration where it has none, has failed, or is away. */
    private Mono<Lease> asked(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated) {
        return delegated
                .answers()
                .ask(target)
                .map(answer -> {
                    delegated.say("the proxy service was asked just now, and answered: " + answer);
                    return by(answer, Source.SERVICE, target, tried, delegated);
                })
                .onErrorResume(
                        failure -> failure instanceof Exception && !(failure instanceof OutdatedException),
                        away -> Mono.fromSupplier(() -> {
                            delegated.say(String.valueOf(away.getMessage()));
                            return withoutService(target, tried, delegated, Why.of((Exception) away));
                        }));
    }

    /** What is known already: by the answer that is kept, or since the service need not be asked. */
    private @Nullable Lease withoutAsking(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated) {
        ProxyAnswers answers = delegated.answers();
        Answer cached = answers.cached(target);
        Answer usable = cached != null && (cached.proxy() == null || !tried.contains(cached.proxy())) ? cached : null;
        if (delegated.isExplained()) {
            delegated.say(
                    cached == null
                            ? "no answer of the proxy service is kept for it"
                            : "an answer of the proxy service is kept: " + answers.described(cached));
        }
        if (usable != null && !answers.isAvoided(target, usable)) {
            return by(usable, Source.CACHE, target, tried, delegated);
        }
        if (usable != null) {
            delegated.say("its proxy has just failed for this target, and another is preferred");
        }
        boolean directed = isDirectedAfterFailure(target, tried, answers);
        if (cached != null || (!tried.isEmpty() && !directed)) { // meanwhile another answer may be on its way
            Embedded embedded = embedded(target, tried, delegated);
            Lease lease = embedded.lease();
            if (lease != null
                    && lease.decision() instanceof UseProxy) { // what is direct is no way round a failed proxy
                return lease.because(Why.proxyFailed(cached != null ? cached : failed(target, tried, answers)));
            }
        }
        if (usable != null) {
            return by(usable, Source.CACHE, target, tried, delegated);
        }
        String unavailable = answers.unavailable(target);
        if (unavailable != null) {
            delegated.say(unavailable);
        }
        return unavailable == null
                ? null
                : withoutService(target, tried, delegated, new Why(SERVICE_DOWN, unavailable, null));
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
                return new Lease(target, decision, null, null).because(Why.noProxy(answer));
            }
        }
        return embeddedOrNone(
                target,
                tried,
                delegated,
                none || isDirectedAfterFailure(target, tried, delegated.answers()),
                proxy == null ? Why.noProxy(answer) : Why.proxyFailed(answer));
    }

    private Lease withoutService(ProxyTarget target, Collection<ProxyUrl> tried, Delegated delegated, Why why) {
        Answer stale = delegated.answers().stale(target);
        ProxyUrl proxy = stale == null ? null : stale.proxy();
        if (stale != null && proxy != null && !tried.contains(proxy)) {
            if (delegated.isExplained()) {
                delegated.say("stale-if-error: an expired answer serves: "
                        + delegated.answers().described(stale));
            }
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
            delegated.say("fallback-to-embedded is false: the embedded proxies are not looked at");
            return new Embedded(null, "proxy.external-service.fallback-to-embedded is false", false);
        }
        Embedded embedded;
        if (delegated.steps() != null) {
            embedded = new Embedded(
                    new Lease(target, embeddedDecision(target, delegated.route(), delegated.steps()), null, null),
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
        return new UseProxy(
                proxy,
                route.isProxied() ? ProxyEntry.DEFAULT_ATTEMPT_TIMEOUT : ProxyEntry.DEFAULT_TIMEOUT,
                null,
                source);
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
        if (pooled.isOutdated()) { // looked at last: what it gave may be a proxy of other settings
            if (grant instanceof ProxyPool.Use use) {
                use.close(new Outcome.Cancelled());
            }
            throw new OutdatedException();
        }
        if (grant instanceof ProxyPool.Use use) {
            return new Embedded(new Lease(target, use.decision(pooled.source()), use, null), "", false);
        }
        Exhausted reason = ((ProxyPool.Grant.None) grant).reason();
        Route handedTo = handedOver(target, pooled);
        if (handedTo != null) {
            Embedded byDefault = embedded(target, tried, handedTo);
            // the default may have none left while the exchange's own pool has
            return byDefault.lease() != null || reason == Exhausted.PROXIES
                    ? byDefault
                    : new Embedded(null, byDefault.reason(), true);
        }
        return new Embedded(null, reason.text(), reason != Exhausted.PROXIES);
    }

    /** Ids without routes of their own never fall back under their name. */
    private ExchangeId known(ProxyTarget target) {
        return routes.settings().exchanges().containsKey(target.exchange()) ? target.exchange() : ExchangeId.DEFAULT;
    }

    private final class Lease implements ProxyLease {
        private static final AtomicIntegerFieldUpdater<Lease> DONE =
                AtomicIntegerFieldUpdater.newUpdater(Lease.class, "done");
        private static final int CLOSED = 1;
        private static final int TOLD = 2;

        private final ProxyTarget target;
        private final ProxyDecision decision;
        private final ProxyPool.@Nullable Use use;
        private final @Nullable Answer answer;
        private final long startNanos;

        // read and written by DONE, which spares two objects for each lease
        @SuppressWarnings("UnusedVariable")
        private volatile int done;

        private @Nullable Why fallback;

        Lease(ProxyTarget target, ProxyDecision decision, ProxyPool.@Nullable Use use, @Nullable Answer answer) {
            this.target = target;
            this.decision = decision;
            this.use = use;
            this.answer = answer;
            this.startNanos = timed ? nanoTime.getAsLong() : 0;
        }

        private boolean isFirst(int what) {
            return (DONE.getAndUpdate(this, done -> done | what) & what) == 0;
        }

        /** Notes, before anybody else has it, that something else was meant for the connection. */
        Lease because(Why reason) {
            fallback = reason;
            return this;
        }

        /** Nobody has it, and nobody has been told of it. */
        void discard() {
            if (use != null) {
                use.close(new Outcome.Cancelled());
            }
        }

        /** Of the request to the service that led to it, or null if none did. */
        @Nullable
        String correlationId() {
            if (answer != null) {
                return answer.correlationId();
            }
            return fallback == null ? null : fallback.correlationId();
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
            if (answer != null && service != null && isFirst(TOLD)) {
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
            if (isFirst(CLOSED)) {
                if (log.isDebugEnabled()) {
                    log.debug("{} {} ended: {}", target, decision, outcome);
                }
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
                    decisionLog.tlsFailed(target, proxied.proxy(), failed);
                }
                if (timed && decision != DISABLED) { // last: somebody else's code
                    events.ended(target, decision, outcome, Duration.ofNanos(nanoTime.getAsLong() - startNanos));
                }
            }
        }
    }
}
