package io.egressproxy.observability;

import static io.egressproxy.observability.ProxyMeters.Tag.OUTCOME;
import static io.egressproxy.observability.ProxyMeters.Tag.POOL;
import static io.egressproxy.observability.ProxyMeters.Tag.PROXY;
import static io.egressproxy.observability.ProxyMeters.Tag.STATE;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.pool.HealthMonitor;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The meters of the proxy service, of pools and of their proxies, which are those of the settings in force: what a reload takes away is taken from the registry as
 * well. Each proxy has meters of its own up to the first 100, since their number has no other bound. Thread-safe.
 */
public final class ProxyStateMetrics implements MeterBinder, ProxyEventListener {
    private static final int MOST_PROXIES = 100;

    private final Supplier<Collection<ProxyPool>> pools;
    private final Supplier<HealthMonitor> monitor;
    private final Supplier<@Nullable Boolean> serviceAvailable;
    private final List<Bound> bound = new ArrayList<>();

    /**
     * @param measured what a meter measures, by its name and tags: as long as that is the same, the meter stays as it is
     */
    private record Bound(MeterRegistry registry, Map<List<Object>, Measured> measured) {}

    private record Measured(Object source, Meter meter) {}

    /**
     * Meters of pools.
     *
     * @param pools those in force
     * @param monitor checks them
     * @param serviceAvailable whether the proxy service is asked at present; null if there is none
     */
    public ProxyStateMetrics(
            Supplier<Collection<ProxyPool>> pools,
            Supplier<HealthMonitor> monitor,
            Supplier<@Nullable Boolean> serviceAvailable) {
        this.pools = pools;
        this.monitor = monitor;
        this.serviceAvailable = serviceAvailable;
    }

    @Override
    public boolean hearsConnections() {
        return false;
    }

    @Override
    public synchronized void bindTo(MeterRegistry registry) {
        Bound made = new Bound(registry, new HashMap<>());
        bound.add(made);
        register(made);
        ProxyMeters.HEALTH_FROZEN
                .gauge(Tags.empty(), () -> monitor.get().isOwnNetworkSuspected() ? 1 : 0)
                .register(registry);
    }

    @Override
    public synchronized void reloaded(String outcome) {
        if (outcome.equals("applied")) {
            bound.forEach(this::register);
        }
    }

    /** Makes the meters of what is new, and takes those of what has gone. A counter that stays goes on counting. */
    private void register(Bound known) {
        Map<List<Object>, Measured> before = new HashMap<>(known.measured());
        known.measured().clear();
        wanted().forEach((key, wanted) -> {
            Measured same = before.get(key);
            boolean stays = same != null && same.source().equals(wanted.source());
            if (stays) {
                before.remove(key);
            } else if (same != null) {
                known.registry().remove(same.meter());
                before.remove(key);
            }
            known.measured()
                    .put(
                            key,
                            stays
                                    ? same
                                    : new Measured(
                                            wanted.source(), wanted.register().apply(known.registry())));
        });
        before.values().forEach(gone -> known.registry().remove(gone.meter()));
    }

    private record Wanted(Object source, Function<MeterRegistry, Meter> register) {}

    private Map<List<Object>, Wanted> wanted() {
        Map<List<Object>, Wanted> all = new LinkedHashMap<>();
        if (serviceAvailable.get() != null) {
            all.put(
                    List.of(ProxyMeters.SERVICE_AVAILABLE),
                    new Wanted(
                            this,
                            ProxyMeters.SERVICE_AVAILABLE.gauge(
                                            Tags.empty(), () -> Boolean.TRUE.equals(serviceAvailable.get()) ? 1 : 0)
                                    ::register));
        }
        int left = MOST_PROXIES;
        for (ProxyPool pool : pools.get()) {
            Tags tags = Tags.of(POOL.asString(), pool.name());
            for (MemberState state : MemberState.values()) {
                Tags ofState = tags.and(STATE.asString(), state.id());
                all.put(
                        List.of(ProxyMeters.POOL_PROXIES, ofState),
                        new Wanted(pool, ProxyMeters.POOL_PROXIES.gauge(ofState, () -> pool.count(state))::register));
            }
            if (monitor.get().interval(pool) != null) {
                all.put(List.of(ProxyMeters.HEALTH_INTERVAL, tags), new Wanted(pool, interval(pool, tags)::register));
            }
            Set<String> names = new HashSet<>();
            List<Supplier<Member>> views = pool.views();
            for (int i = 0; i < views.size() && left > 0; i++, left--) {
                Supplier<Member> view = views.get(i);
                String address = view.get().proxy().address();
                String unique = names.add(address) ? address : address + "#" + i; // with other credentials
                member(all, view, tags.and(PROXY.asString(), unique));
            }
        }
        return all;
    }

    private TimeGauge.Builder<Supplier<Number>> interval(ProxyPool pool, Tags tags) {
        Supplier<Number> nanos = () -> {
            Duration interval = monitor.get().interval(pool);
            return interval == null ? Double.NaN : (double) interval.toNanos();
        };
        return TimeGauge.builder(ProxyMeters.HEALTH_INTERVAL.getName(), nanos, TimeUnit.NANOSECONDS)
                .description(ProxyMeters.HEALTH_INTERVAL.description())
                .tags(tags);
    }

    private static void member(Map<List<Object>, Wanted> all, Supplier<Member> view, Tags tags) {
        all.put(
                List.of(ProxyMeters.MEMBER_UP, tags),
                new Wanted(
                        view,
                        ProxyMeters.MEMBER_UP.gauge(tags, () -> view.get().state() == MemberState.UP ? 1 : 0)
                                ::register));
        all.put(
                List.of(ProxyMeters.MEMBER_CONNECTIONS_ACTIVE, tags),
                new Wanted(view, ProxyMeters.MEMBER_CONNECTIONS_ACTIVE.gauge(tags, () -> view.get()
                        .activeConnections())::register));
        connections(all, view, tags.and(OUTCOME.asString(), "succeeded"), it ->
                (double) it.get().succeededConnections());
        connections(all, view, tags.and(OUTCOME.asString(), "failed"), it ->
                (double) it.get().failedConnections());
    }

    private static void connections(
            Map<List<Object>, Wanted> all, Supplier<Member> view, Tags tags, ToDoubleFunction<Supplier<Member>> count) {
        all.put(
                List.of(ProxyMeters.MEMBER_CONNECTIONS, tags),
                new Wanted(view, ProxyMeters.MEMBER_CONNECTIONS.counter(tags, view, count)::register));
    }
}
