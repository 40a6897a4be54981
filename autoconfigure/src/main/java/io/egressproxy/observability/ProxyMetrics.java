package io.egressproxy.observability;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
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
import org.jspecify.annotations.Nullable;

/**
 * The meters of connections, fallbacks and the proxy service. The number of their tags' values is bounded: exchanges that are not
 * configured share one name. Costs nothing until it is bound to a registry. Thread-safe.
 */
public final class ProxyMetrics implements MeterBinder, ProxyEventListener {

    /** Counter of decisions, by {@value #EXCHANGE}, {@value #CONNECTION_TYPE} and {@value #SOURCE}. */
    public static final String DECISIONS = "proxy.decisions";

    /** Counter of connections that did not get what was meant for them, by {@value #EXCHANGE}, {@value #REASON} and {@value #TO}. */
    public static final String FALLBACKS = "proxy.fallbacks";

    /**
     * Timer of connections, by {@value #EXCHANGE}, {@value #CONNECTION_TYPE}, {@value #SOURCE}, {@value #OUTCOME} and {@value
     * #BLAME}: until the tunnel stood, or until it failed.
     */
    public static final String CONNECTIONS = "proxy.connections";

    /** Gauge of open connections, by {@value #EXCHANGE} and {@value #CONNECTION_TYPE}. */
    public static final String ACTIVE_CONNECTIONS = "proxy.connections.active";

    /** Timer of requests to the proxy service, by {@value #ENDPOINT} and {@value #OUTCOME}. */
    public static final String SERVICE_REQUESTS = "proxy.service.requests";

    /** Counter of reports to the proxy service, by {@value #OUTCOME}. */
    public static final String FEEDBACK = "proxy.feedback";

    static final String EXCHANGE = "exchange";
    static final String CONNECTION_TYPE = "connection.type";
    static final String SOURCE = "source";
    static final String OUTCOME = "outcome";
    static final String BLAME = "blame";
    static final String REASON = "reason";
    static final String TO = "to";
    static final String ENDPOINT = "endpoint";

    private static final int MOST_ENDPOINTS = 32;
    private static final String NONE = "none";
    private static final String DIRECT = "direct";
    private static final String REFUSED = "refused";

    private final Set<ExchangeId> configured;
    private final List<Meters> bound = new CopyOnWriteArrayList<>();
    private final Map<Open, AtomicInteger> open = new ConcurrentHashMap<>();
    private final Set<String> endpoints = ConcurrentHashMap.newKeySet();

    /**
     * Meters that count nothing yet.
     *
     * @param configured the exchanges that have a name of their own
     */
    public ProxyMetrics(Set<ExchangeId> configured) {
        this.configured = Set.copyOf(configured);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        Meters meters = new Meters(registry);
        bound.add(meters);
        open.forEach(meters::gauge);
    }

    @Override
    public void decided(ProxyTarget target, ProxyDecision decision) {
        ExchangeId exchange = known(target.exchange());
        String source = source(decision);
        for (Meters meters : bound) {
            meters.decision(new Decided(exchange, target.type(), source)).increment();
        }
        if (!source.equals(REFUSED)) {
            active(exchange, target.type()).incrementAndGet();
        }
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision) {
        Tags tags = Tags.of(EXCHANGE, name(known(target.exchange())), REASON, reason, TO, source(decision));
        bound.forEach(meters -> meters.registry.counter(FALLBACKS, tags).increment());
    }

    @Override
    public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
        ExchangeId exchange = known(target.exchange());
        Blame blame = outcome instanceof Outcome.Failed failed ? failed.blame() : null;
        String how = blame != null ? "failed" : outcome instanceof Outcome.Succeeded ? "succeeded" : "cancelled";
        Duration latency = outcome instanceof Outcome.Succeeded succeeded ? succeeded.latency() : took;
        active(exchange, target.type()).decrementAndGet();
        for (Meters meters : bound) {
            meters.connection(new Ended(new Decided(exchange, target.type(), source(decision)), how, blame))
                    .record(latency);
        }
    }

    @Override
    public void serviceRequest(String endpoint, String outcome, String correlationId, Duration took) {
        Tags tags = Tags.of(ENDPOINT, knownEndpoint(endpoint), OUTCOME, outcome);
        bound.forEach(meters -> meters.registry.timer(SERVICE_REQUESTS, tags).record(took));
    }

    @Override
    public void feedback(String outcome, long count) {
        Tags tags = Tags.of(OUTCOME, outcome);
        bound.forEach(meters -> meters.registry.counter(FEEDBACK, tags).increment((double) count));
    }

    /** Endpoints that are discovered may come and go for ever. */
    private String knownEndpoint(String endpoint) {
        return endpoints.contains(endpoint) || (endpoints.size() < MOST_ENDPOINTS && endpoints.add(endpoint))
                ? endpoint
                : "other";
    }

    /** Counted from the first connection on, whether there is a registry already or not. */
    private AtomicInteger active(ExchangeId exchange, ConnectionType type) {
        Open key = new Open(exchange, type);
        AtomicInteger known = open.get(key);
        return known != null
                ? known
                : open.computeIfAbsent(key, made -> {
                    AtomicInteger count = new AtomicInteger();
                    bound.forEach(meters -> meters.gauge(made, count));
                    return count;
                });
    }

    private ExchangeId known(ExchangeId exchange) {
        return configured.contains(exchange) || exchange.equals(ExchangeId.UNMATCHED) ? exchange : ExchangeId.DEFAULT;
    }

    private static String name(ExchangeId known) {
        return known.equals(ExchangeId.UNMATCHED) ? "unmatched" : known.toString();
    }

    private static String source(ProxyDecision decision) {
        if (decision instanceof UseProxy use) {
            return use.source().isEmbedded() ? "embedded" : use.source().id();
        }
        return decision instanceof Direct ? DIRECT : REFUSED;
    }

    private record Decided(ExchangeId exchange, ConnectionType type, String source) {
        Tags tags() {
            return Tags.of(EXCHANGE, name(exchange), CONNECTION_TYPE, type.id(), SOURCE, source);
        }
    }

    private record Ended(Decided decided, String outcome, @Nullable Blame blame) {
        Tags tags() {
            return decided.tags().and(OUTCOME, outcome, BLAME, blame == null ? NONE : blame.id());
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
                    : decisions.computeIfAbsent(key, made -> registry.counter(DECISIONS, made.tags()));
        }

        Timer connection(Ended key) {
            Timer known = connections.get(key);
            return known != null
                    ? known
                    : connections.computeIfAbsent(key, made -> registry.timer(CONNECTIONS, made.tags()));
        }

        void gauge(Open key, AtomicInteger count) {
            Gauge.builder(ACTIVE_CONNECTIONS, count, AtomicInteger::get)
                    .tags(
                            EXCHANGE,
                            name(key.exchange()),
                            CONNECTION_TYPE,
                            key.type().id())
                    .register(registry);
        }
    }
}
