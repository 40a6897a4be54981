package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.service.ProxyAnswers;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Decides for every connection, and hands out the leases that connections hold. Its settings may change at any time. Thread-safe. */
public final class ProxyRouter {
    private static final Logger log = LoggerFactory.getLogger(ProxyRouter.class);

    private static final Duration WHILE_CHANGING = Duration.ofMillis(1);
    private static final Duration LONGEST_CHANGE = Duration.ofSeconds(10);

    private final Function<String, @Nullable ProxySelectionStrategy> strategies;
    private final ProxyEventListener events;
    private final DecisionLog decisionLog;
    private final LongSupplier nanoTime;
    private final List<Consumer<ProxyUrl>> outListeners = new CopyOnWriteArrayList<>();
    private final List<Runnable> changeListeners = new CopyOnWriteArrayList<>();
    private volatile Decisions current; // all that a decision depends on, so that a change is seen as a whole

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
     * @throws IllegalArgumentException if a pool names a strategy that does not exist
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
     * @throws IllegalArgumentException if a pool names a strategy that does not exist
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
        this.strategies = strategies;
        this.events = events;
        this.nanoTime = nanoTime;
        this.decisionLog = new DecisionLog(nanoTime);
        RouteTable routes = new RouteTable(settings, strategies);
        this.current = decisions(routes, service);
        if (settings.enabled()) {
            RouteSummary.log(settings, routes);
        }
    }

    private Decisions decisions(RouteTable routes, @Nullable ProxyAnswers service) {
        return new Decisions(routes, service, events, decisionLog, nanoTime);
    }

    /**
     * Works out other settings. Changes nothing as yet.
     *
     * @param settings the settings
     * @param service the answers of the service that they name, or null
     * @return what puts them in force: as a whole for each decision, and in a way that cannot fail. Pools that stay keep what is known of
     *     their proxies
     * @throws InvalidProxySettingsException if they cannot be put in force
     */
    public Runnable prepare(ProxySettings settings, @Nullable ProxyAnswers service) {
        Decisions before = current;
        List<SettingsProblem> problems = new ArrayList<>(before.table().emptiedBy(settings));
        RouteTable next;
        try {
            next = new RouteTable(settings, strategies, before.table());
        } catch (IllegalArgumentException unknownStrategy) {
            throw problems.isEmpty() ? unknownStrategy : new InvalidProxySettingsException(problems);
        }
        Decisions decisions = decisions(next, service);
        problems.addAll(next.forgotten(before.table(), before::asksFor, decisions::asksFor));
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(problems);
        }
        return () -> {
            Collection<ProxyPool> known = before.table().pools();
            List<ProxyPool> added =
                    next.pools().stream().filter(pool -> !known.contains(pool)).toList();
            if (service != null && service != before.answers()) {
                outListeners.forEach(service::onOut);
            }
            added.forEach(pool -> outListeners.forEach(pool::onOut));
            known.forEach(pool -> pool.drains().values().forEach(added::forEach));
            next.reconfigurePools();
            current = decisions;
            changeListeners.forEach(Runnable::run);
            log.info("The proxy settings have changed:");
            RouteSummary.log(settings, next);
        };
    }

    /**
     * Has somebody told after the settings have changed.
     *
     * @param listener must not block
     */
    public void onChange(Runnable listener) {
        changeListeners.add(listener);
    }

    /**
     * Whether clients are touched at all.
     *
     * @return {@code proxy.enabled}
     */
    public boolean isEnabled() {
        return settings().enabled();
    }

    /**
     * The pools of the settings.
     *
     * @return each once, also where several exchanges share it
     */
    public Collection<ProxyPool> pools() {
        return current.table().pools();
    }

    /**
     * Whether any exchange, or the default, has a proxy that is in no pool.
     *
     * @return true if there is one
     */
    public boolean hasSingleProxies() {
        return current.table().hasSingleProxies();
    }

    /**
     * Has somebody told when a proxy is left out: of a pool by its failures or its checks, or because the service's answer has
     * gone.
     *
     * @param listener gets the proxy; must not block, and must not ask the router back
     */
    public void onProxyOut(Consumer<ProxyUrl> listener) {
        outListeners.add(listener);
        pools().forEach(pool -> pool.onOut(listener));
        ProxyAnswers service = current.answers();
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
        ExchangeId exchange = current.table().exchangeOf(host);
        return new ProxyTarget(exchange == null ? ExchangeId.UNMATCHED : exchange, type, host, port);
    }

    /**
     * What a connection opened now would do, as far as that is known without asking the proxy service. Takes no lease.
     *
     * @param target where it would go
     * @return the decision; never direct where the service would have to be asked
     */
    public ProxyDecision decide(ProxyTarget target) {
        return current.decide(target);
    }

    /**
     * What a connection opened now would do. Asks the proxy service if need be, but takes no lease.
     *
     * @param target where it would go
     * @return the decision
     */
    public Mono<ProxyDecision> decideNow(ProxyTarget target) {
        return Mono.defer(() -> current.decideNow(target));
    }

    /**
     * What a connection opened now would do, and how that comes about. Asks the proxy service if need be, but takes no lease.
     *
     * @param target where it would go
     * @return the decision with the steps that lead to it
     */
    public Mono<Explanation> explain(ProxyTarget target) {
        return Mono.defer(() -> current.explain(target));
    }

    /**
     * Whether a connection that was opened earlier, when other settings may have been in force, is one that could be opened for a target
     * today.
     *
     * @param target where it goes
     * @param earlier what it did
     * @return false if it must not be used again
     */
    public boolean leadsTo(ProxyTarget target, ProxyDecision earlier) {
        return current.leadsTo(target, earlier);
    }

    /**
     * A decision, and how it comes about.
     *
     * @param decision what a connection would do
     * @param steps what was looked at, in that order, in words
     */
    public record Explanation(ProxyDecision decision, List<String> steps) {}

    /**
     * Where connections of each exchange lead by the settings.
     *
     * @return by exchange and by connection type, in words; {@code default} stands for all that have no settings of their own
     */
    public Map<String, Map<String, String>> routes() {
        return RouteSummary.routes(current.table());
    }

    /**
     * The settings in force.
     *
     * @return the settings
     */
    public ProxySettings settings() {
        return current.table().settings();
    }

    /**
     * A lease for a connection that is about to be opened.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @return the lease; {@link ProxyConnectionException} if the connection is refused or no proxy is left
     */
    public Mono<ProxyLease> lease(ProxyTarget target, Collection<ProxyUrl> tried) {
        return Mono.defer(() -> lease(current, target, tried));
    }

    /**
     * The same without waiting.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @return the lease, or null if that takes time: then {@link #leaseByAsking} has it
     * @throws ProxyConnectionException if the connection is refused or no proxy is left
     */
    public @Nullable ProxyLease leaseAtOnce(ProxyTarget target, Collection<ProxyUrl> tried)
            throws ProxyConnectionException {
        try {
            return current.leaseAtOnce(target, tried, this);
        } catch (OutdatedException changing) {
            return null;
        }
    }

    /**
     * A lease for whoever has just heard that there is none at once.
     *
     * @param target where it goes
     * @param tried the proxies that have already failed for this connection
     * @return the lease; {@link ProxyConnectionException} if the connection is refused or no proxy is left
     */
    public Mono<ProxyLease> leaseByAsking(ProxyTarget target, Collection<ProxyUrl> tried) {
        return Mono.defer(() -> current.leaseByAsking(target, tried, this));
    }

    private Mono<ProxyLease> lease(Decisions decisions, ProxyTarget target, Collection<ProxyUrl> tried) {
        try {
            ProxyLease atOnce = decisions.leaseAtOnce(target, tried, this);
            return atOnce != null ? Mono.just(atOnce) : decisions.leaseByAsking(target, tried, this);
        } catch (OutdatedException changing) {
            return leaseAgain(decisions, target, tried);
        } catch (ProxyConnectionException refused) {
            return Mono.error(refused);
        }
    }

    boolean isInForce(Decisions decisions) {
        return decisions.equals(current);
    }

    /** The settings are being changed, or have been while the proxy service was asked. */
    Mono<ProxyLease> leaseAgain(Decisions outdated, ProxyTarget target, Collection<ProxyUrl> tried) {
        return Flux.interval(Duration.ZERO, WHILE_CHANGING)
                .onBackpressureDrop()
                .filter(tick -> !current.equals(outdated))
                .next()
                .timeout(LONGEST_CHANGE)
                .onErrorMap(
                        TimeoutException.class,
                        stuck ->
                                new ProxyConnectionException(target, List.of(), "the settings are being changed", null))
                .flatMap(tick -> lease(current, target, tried));
    }
}
