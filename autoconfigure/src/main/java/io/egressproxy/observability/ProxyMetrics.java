package io.egressproxy.observability;

import static io.egressproxy.observability.ProxyMeters.Tag.BLAME;
import static io.egressproxy.observability.ProxyMeters.Tag.CONNECTION_TYPE;
import static io.egressproxy.observability.ProxyMeters.Tag.ENDPOINT;
import static io.egressproxy.observability.ProxyMeters.Tag.EXCHANGE;
import static io.egressproxy.observability.ProxyMeters.Tag.OUTCOME;
import static io.egressproxy.observability.ProxyMeters.Tag.POOL;
import static io.egressproxy.observability.ProxyMeters.Tag.REASON;
import static io.egressproxy.observability.ProxyMeters.Tag.SOURCE;
import static io.egressproxy.observability.ProxyMeters.Tag.TO;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The meters of connections, fallbacks and the proxy service. The number of their tags' values is bounded: exchanges that are not
 * configured share one name. Costs nothing until it is bound to a registry. Thread-safe.
 */
public final class ProxyMetrics implements MeterBinder, ProxyEventListener {

    private static final int MOST_ENDPOINTS = 32;
    private static final int MOST_EXCHANGES = 10_000;
    private static final String NONE = "none";
    private static final String REFUSED = "refused";

    private final Supplier<Set<ExchangeId>> current;
    private volatile Set<ExchangeId> configured;
    private final List<Meters> bound = new CopyOnWriteArrayList<>();
    private final Map<Open, AtomicInteger> open = new ConcurrentHashMap<>();
    private final Set<Open> measured = ConcurrentHashMap.newKeySet();
    private final Set<String> endpoints = ConcurrentHashMap.newKeySet();

    /**
     * Meters that count nothing yet.
     *
     * @param configured the exchanges that have a name of their own
     * @param current the same after the settings have changed
     */
    public ProxyMetrics(Set<ExchangeId> configured, Supplier<Set<ExchangeId>> current) {
        this.configured = Set.copyOf(configured);
        this.current = current;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        Meters meters = new Meters(registry);
        bound.add(meters);
        measured.forEach(name -> gauge(meters, name));
    }

    @Override
    public void decided(ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {
        ExchangeId exchange = known(target.exchange());
        String source = decision.sourceId();
        for (Meters meters : bound) {
            meters.decision(new Decided(exchange, target.type(), source)).increment();
        }
        if (!source.equals(REFUSED)) {
            active(target).incrementAndGet();
        }
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {
        Tags tags = Tags.of(
                EXCHANGE.asString(),
                name(known(target.exchange())),
                REASON.asString(),
                reason,
                TO.asString(),
                decision.sourceId());
        bound.forEach(meters ->
                ProxyMeters.FALLBACKS.counter(tags).register(meters.registry).increment());
    }

    @Override
    public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
        ExchangeId exchange = known(target.exchange());
        Blame blame = outcome instanceof Outcome.Failed failed ? failed.blame() : null;
        String how = blame != null ? "failed" : outcome instanceof Outcome.Succeeded ? "succeeded" : "cancelled";
        Duration latency = outcome instanceof Outcome.Succeeded succeeded ? succeeded.latency() : took;
        active(target).decrementAndGet();
        for (Meters meters : bound) {
            meters.connection(new Ended(new Decided(exchange, target.type(), decision.sourceId()), how, blame))
                    .record(latency);
        }
    }

    @Override
    public void serviceRequest(String endpoint, String outcome, String correlationId, Duration took) {
        Tags tags = Tags.of(ENDPOINT.asString(), knownEndpoint(endpoint), OUTCOME.asString(), outcome);
        bound.forEach(meters -> ProxyMeters.SERVICE_REQUESTS
                .timer(tags)
                .register(meters.registry)
                .record(took));
    }

    @Override
    public void feedback(String outcome, long count) {
        Tags tags = Tags.of(OUTCOME.asString(), outcome);
        bound.forEach(meters ->
                ProxyMeters.FEEDBACK.counter(tags).register(meters.registry).increment((double) count));
    }

    @Override
    public void healthChecked(String pool, ProxyUrl proxy, String outcome, Duration took) {
        Tags tags = Tags.of(POOL.asString(), pool, OUTCOME.asString(), outcome);
        bound.forEach(meters ->
                ProxyMeters.HEALTH_CHECKS.timer(tags).register(meters.registry).record(took));
    }

    @Override
    public void reloaded(String outcome) {
        configured = Set.copyOf(current.get());
        open.keySet().forEach(this::measured); // some of those that are open may have a name of their own now
        Tags tags = Tags.of(OUTCOME.asString(), outcome);
        bound.forEach(meters ->
                ProxyMeters.RELOADS.counter(tags).register(meters.registry).increment());
    }

    /** Endpoints that are discovered may come and go for ever. */
    private String knownEndpoint(String endpoint) {
        return endpoints.contains(endpoint) || (endpoints.size() < MOST_ENDPOINTS && endpoints.add(endpoint))
                ? endpoint
                : "other";
    }

    /**
     * Counted from the first connection on, whether there is a registry already or not; and by the exchange's own id, since it may get or
     * lose a name of its own while the connection is open.
     */
    private AtomicInteger active(ProxyTarget target) {
        Open key = new Open(target.exchange(), target.type());
        AtomicInteger known = open.get(key);
        if (known != null) {
            return known;
        }
        Open bounded = open.size() < MOST_EXCHANGES ? key : new Open(ExchangeId.DEFAULT, target.type());
        AtomicInteger count = open.computeIfAbsent(bounded, made -> new AtomicInteger());
        measured(bounded);
        return count;
    }

    private void measured(Open key) {
        Open name = new Open(known(key.exchange()), key.type());
        if (measured.add(name)) {
            bound.forEach(meters -> gauge(meters, name));
        }
    }

    private void gauge(Meters meters, Open name) {
        ProxyMeters.CONNECTIONS_ACTIVE
                .gauge(
                        Tags.of(
                                EXCHANGE.asString(),
                                name(name.exchange()),
                                CONNECTION_TYPE.asString(),
                                name.type().id()),
                        () -> active(name))
                .register(meters.registry);
    }

    /** All that go by a name now. */
    private int active(Open name) {
        int sum = 0;
        for (Map.Entry<Open, AtomicInteger> entry : open.entrySet()) {
            Open key = entry.getKey();
            boolean counts = key.type() == name.type() && known(key.exchange()).equals(name.exchange());
            sum += counts ? entry.getValue().get() : 0;
        }
        return sum;
    }

    private ExchangeId known(ExchangeId exchange) {
        return configured.contains(exchange) || exchange.equals(ExchangeId.UNMATCHED) ? exchange : ExchangeId.DEFAULT;
    }

    private static String name(ExchangeId known) {
        return known.equals(ExchangeId.UNMATCHED) ? "unmatched" : known.toString();
    }

    private record Decided(ExchangeId exchange, ConnectionType type, String source) {
        Tags tags() {
            return Tags.of(
                    EXCHANGE.asString(),
                    name(exchange),
                    CONNECTION_TYPE.asString(),
                    type.id(),
                    SOURCE.asString(),
                    source);
        }
    }

    private record Ended(Decided decided, String outcome, @Nullable Blame blame) {
        Tags tags() {
            return decided.tags().and(OUTCOME.asString(), outcome, BLAME.asString(), blame == null ? NONE : blame.id());
        }
    }

    private record Open(ExchangeId exchange, ConnectionType type) {}

    /** The meters in one registry; those that every connection needs are found without a look at their tags. */
    private static final class Meters {
        private final MeterRegistry registry;
        private final Map<Decided, Counter> decisions = new ConcurrentHashMap<>();
        private final Map<Ended, Timer> connections = new ConcurrentHashMap<>();

        Meters(MeterRegistry registry) {
            this.registry = registry;
        }

        Counter decision(Decided key) {
            Counter known = decisions.get(key);
            return known != null
                    ? known
                    : decisions.computeIfAbsent(
                            key,
                            made -> ProxyMeters.DECISIONS.counter(made.tags()).register(registry));
        }

        Timer connection(Ended key) {
            Timer known = connections.get(key);
            return known != null
                    ? known
                    : connections.computeIfAbsent(
                            key,
                            made -> ProxyMeters.CONNECTIONS.timer(made.tags()).register(registry));
        }
    }
}
