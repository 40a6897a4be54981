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
import io.egressproxy.ProxyDecision.Refuse;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
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
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The meters of connections, fallbacks and the proxy service. The number of their tags' values is bounded: exchanges that are not
 * configured share one name. Costs nothing until it is bound to a registry. Thread-safe.
 */
@SuppressWarnings("EnumOrdinal") // places in arrays that live as long as the program
public final class ProxyMetrics implements MeterBinder, ProxyEventListener {

    private static final int MOST_ENDPOINTS = 32;
    private static final int MOST_EXCHANGES = 10_000;
    private static final String NONE = "none";
    private static final int TYPES = ConnectionType.values().length;

    private final Supplier<Set<ExchangeId>> current;
    private volatile Set<ExchangeId> configured;
    private final List<Meters> bound = new CopyOnWriteArrayList<>();
    private final Map<ExchangeId, AtomicReferenceArray<AtomicInteger>> open = new ConcurrentHashMap<>(); // by type
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
        for (Meters meters : bound) {
            meters.decision(exchange, target.type(), decision).increment();
        }
        if (!(decision instanceof Refuse)) {
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
        Duration latency = outcome instanceof Outcome.Succeeded succeeded ? succeeded.latency() : took;
        active(target).decrementAndGet();
        for (Meters meters : bound) {
            meters.connection(exchange, target.type(), decision, outcome).record(latency);
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
        open.forEach((exchange, counts) -> { // some of those that are open may have a name of their own now
            for (ConnectionType type : ConnectionType.values()) {
                if (counts.get(type.ordinal()) != null) {
                    measured(new Open(exchange, type));
                }
            }
        });
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
        ConnectionType type = target.type();
        AtomicReferenceArray<AtomicInteger> counts = open.get(target.exchange());
        AtomicInteger known = counts == null ? null : counts.get(type.ordinal());
        if (known != null) {
            return known;
        }
        ExchangeId bounded = counts != null || open.size() < MOST_EXCHANGES ? target.exchange() : ExchangeId.DEFAULT;
        AtomicInteger count = open.computeIfAbsent(bounded, made -> new AtomicReferenceArray<>(TYPES))
                .updateAndGet(type.ordinal(), made -> made == null ? new AtomicInteger() : made);
        measured(new Open(bounded, type));
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
        for (Map.Entry<ExchangeId, AtomicReferenceArray<AtomicInteger>> entry : open.entrySet()) {
            AtomicInteger count = entry.getValue().get(name.type().ordinal());
            if (count != null && known(entry.getKey()).equals(name.exchange())) {
                sum += count.get();
            }
        }
        return sum;
    }

    private ExchangeId known(ExchangeId exchange) {
        return configured.contains(exchange) || exchange.equals(ExchangeId.UNMATCHED) ? exchange : ExchangeId.DEFAULT;
    }

    private static String name(ExchangeId known) {
        return known.equals(ExchangeId.UNMATCHED) ? "unmatched" : known.toString();
    }

    private record Open(ExchangeId exchange, ConnectionType type) {}

    /** The meters in one registry; those that every connection needs are found without a look at their tags, and without an object for it. */
    private static final class Meters {
        private final MeterRegistry registry;
        private final Map<ExchangeId, OfExchange> exchanges = new ConcurrentHashMap<>();

        Meters(MeterRegistry registry) {
            this.registry = registry;
        }

        Counter decision(ExchangeId exchange, ConnectionType type, ProxyDecision decision) {
            AtomicReferenceArray<Counter> decisions = of(exchange).decisions;
            int index = OfExchange.index(type, decision);
            Counter known = decisions.get(index);
            if (known != null) {
                return known;
            }
            Counter made = ProxyMeters.DECISIONS
                    .counter(tags(exchange, type, decision))
                    .register(registry);
            decisions.set(index, made);
            return made;
        }

        Timer connection(ExchangeId exchange, ConnectionType type, ProxyDecision decision, Outcome outcome) {
            AtomicReferenceArray<Timer> connections = of(exchange).connections;
            int index = OfExchange.index(type, decision, outcome);
            Timer known = connections.get(index);
            if (known != null) {
                return known;
            }
            Blame blame = outcome instanceof Outcome.Failed failed ? failed.blame() : null;
            String how = blame != null ? "failed" : outcome instanceof Outcome.Succeeded ? "succeeded" : "cancelled";
            Timer made = ProxyMeters.CONNECTIONS
                    .timer(tags(exchange, type, decision)
                            .and(OUTCOME.asString(), how, BLAME.asString(), blame == null ? NONE : blame.id()))
                    .register(registry);
            connections.set(index, made);
            return made;
        }

        private OfExchange of(ExchangeId exchange) {
            OfExchange known = exchanges.get(exchange);
            return known != null ? known : exchanges.computeIfAbsent(exchange, made -> new OfExchange());
        }

        private static Tags tags(ExchangeId exchange, ConnectionType type, ProxyDecision decision) {
            return Tags.of(
                    EXCHANGE.asString(),
                    name(exchange),
                    CONNECTION_TYPE.asString(),
                    type.id(),
                    SOURCE.asString(),
                    decision.sourceId());
        }
    }

    /** The meters of one exchange that are known by now; where two places stand for the same tags, both hold the same meter. */
    private static final class OfExchange {
        private static final int SOURCES = Source.values().length + 2; // and direct, and refused
        private static final int OUTCOMES = Blame.values().length + 2; // and succeeded, and cancelled

        private final AtomicReferenceArray<Counter> decisions = new AtomicReferenceArray<>(TYPES * SOURCES);
        private final AtomicReferenceArray<Timer> connections = new AtomicReferenceArray<>(TYPES * SOURCES * OUTCOMES);

        static int index(ConnectionType type, ProxyDecision decision) {
            int source = decision instanceof UseProxy use
                    ? use.source().ordinal()
                    : decision instanceof Refuse ? SOURCES - 1 : SOURCES - 2;
            return type.ordinal() * SOURCES + source;
        }

        static int index(ConnectionType type, ProxyDecision decision, Outcome outcome) {
            int how = outcome instanceof Outcome.Failed failed
                    ? failed.blame().ordinal()
                    : outcome instanceof Outcome.Succeeded ? OUTCOMES - 1 : OUTCOMES - 2;
            return index(type, decision) * OUTCOMES + how;
        }
    }
}
