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
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Exhausted;
import io.egressproxy.routing.RouteTable.Route;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.ProxySettings;
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
    private static final Direct DISABLED = new Direct(Reason.DISABLED);

    private final RouteTable routes;
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
        this(settings, strategies, System::nanoTime);
    }

    ProxyRouter(
            ProxySettings settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            LongSupplier nanoTime) {
        this.routes = new RouteTable(settings, strategies);
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
     * Has somebody told when a proxy of a pool is left out, by its failures or by its checks.
     *
     * @param listener gets the proxy; must not block, and must not ask the router back
     */
    public void onProxyOut(Consumer<ProxyUrl> listener) {
        pools().forEach(pool -> pool.onOut(listener));
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
     * What a connection opened now would do. Takes no lease.
     *
     * @param target where it would go
     * @return the decision
     */
    public ProxyDecision decide(ProxyTarget target) {
        if (!isEnabled()) {
            return DISABLED;
        }
        Route route = routes.route(target);
        if (route instanceof Route.Pooled pooled) {
            ProxyPool.Preview next = pooled.pool().preview(target);
            return next == null
                    ? routes.decideExhausted(target, Exhausted.PROXIES.text())
                    : new UseProxy(next.proxy(), next.timeout(), next.sslBundle(), pooled.source());
        }
        return ((Route.Fixed) route).decision();
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
            ProxyLease lease =
                    isEnabled() ? lease(target, tried, routes.route(target)) : new Lease(target, DISABLED, null);
            if (lease.decision() instanceof Refuse refuse) {
                return Mono.error(new ProxyConnectionException(target, List.of(), refuse.reason(), null));
            }
            if (lease.decision() instanceof Direct direct && direct.reason() == Reason.FALLBACK) {
                warnDirect(target);
            }
            return Mono.just(lease);
        });
    }

    private ProxyLease lease(ProxyTarget target, Collection<ProxyUrl> tried, Route route) {
        if (route instanceof Route.Pooled pooled) {
            return lease(target, tried, pooled);
        }
        ProxyDecision decision = ((Route.Fixed) route).decision();
        boolean failed = decision instanceof UseProxy use && tried.contains(use.proxy());
        return new Lease(
                target,
                failed ? routes.decideExhausted(target, "no other proxy is configured for it") : decision,
                null);
    }

    private ProxyLease lease(ProxyTarget target, Collection<ProxyUrl> tried, Route.Pooled pooled) {
        ProxyPool pool = pooled.pool();
        ProxyPool.Grant grant = pool.acquire(target, tried);
        if (grant instanceof ProxyPool.Use use) {
            return new Lease(target, new UseProxy(use.proxy(), use.timeout(), use.sslBundle(), pooled.source()), use);
        }
        Exhausted reason = ((ProxyPool.Grant.None) grant).reason();
        if (pool.onExhausted() == OnExhausted.DEFAULT && pooled.source() == ProxyDecision.Source.EXCHANGE) {
            Route handedTo = routes.defaultRoute(target);
            boolean proxied = handedTo instanceof Route.Pooled
                    || (handedTo instanceof Route.Fixed fixed && fixed.decision() instanceof UseProxy);
            if (proxied) { // a default that is direct, or not there, is no way out of a proxied exchange
                return lease(target, tried, handedTo);
            }
        }
        // where proxies are left, and only this connection gets none of them, it does not go directly
        return new Lease(
                target,
                reason == Exhausted.PROXIES ? routes.decideExhausted(target, reason.text()) : new Refuse(reason.text()),
                null);
    }

    /** At most one line a minute for each exchange; ids without routes of their own never fall back under their name. */
    private void warnDirect(ProxyTarget target) {
        boolean known = routes.settings().exchanges().containsKey(target.exchange());
        long count = directWarnings.occurred(known ? target.exchange() : ExchangeId.DEFAULT);
        if (count > 0) {
            log.warn(
                    "{}: no proxy is left, connecting DIRECTLY since proxy.direct-fallback is always"
                            + " ({} such connection(s) since the last warning)",
                    target,
                    count);
        }
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
        private final AtomicBoolean closed = new AtomicBoolean();

        Lease(ProxyTarget target, ProxyDecision decision, ProxyPool.@Nullable Use use) {
            this.target = target;
            this.decision = decision;
            this.use = use;
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
        public void established() {
            if (use != null) {
                use.established();
            }
        }

        @Override
        public void close(Outcome outcome) {
            if (closed.compareAndSet(false, true)) {
                log.debug("{} {} ended: {}", target, decision, outcome);
                if (use != null) {
                    use.close(outcome);
                }
                if (outcome instanceof Outcome.Failed failed
                        && failed.stage() == ConnectionStage.TLS
                        && decision instanceof UseProxy proxied) {
                    warnOfTls(target, proxied.proxy(), failed);
                }
            }
        }
    }
}
