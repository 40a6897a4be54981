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
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
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

    private record Bound(MeterRegistry registry, List<Meter> meters) {}

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
        bound.add(new Bound(registry, registered(registry)));
        ProxyMeters.HEALTH_FROZEN
                .gauge(Tags.empty(), () -> monitor.get().isOwnNetworkSuspected() ? 1 : 0)
                .register(registry);
    }

    @Override
    public synchronized void reloaded(String outcome) {
        for (Bound known : bound) {
            known.meters().forEach(known.registry()::remove);
            known.meters().clear();
            known.meters().addAll(registered(known.registry()));
        }
    }

    private List<Meter> registered(MeterRegistry registry) {
        List<Meter> meters = new ArrayList<>();
        if (serviceAvailable.get() != null) {
            meters.add(ProxyMeters.SERVICE_AVAILABLE
                    .gauge(Tags.empty(), () -> Boolean.TRUE.equals(serviceAvailable.get()) ? 1 : 0)
                    .register(registry));
        }
        int left = MOST_PROXIES;
        for (ProxyPool pool : pools.get()) {
            Tags tags = Tags.of(POOL.asString(), pool.name());
            for (MemberState state : MemberState.values()) {
                meters.add(ProxyMeters.POOL_PROXIES
                        .gauge(tags.and(STATE.asString(), state.id()), () -> pool.count(state))
                        .register(registry));
            }
            if (monitor.get().interval(pool) != null) {
                meters.add(TimeGauge.builder(
                                ProxyMeters.HEALTH_INTERVAL.getName(),
                                () -> {
                                    Duration interval = monitor.get().interval(pool);
                                    return interval == null ? Double.NaN : (double) interval.toNanos();
                                },
                                TimeUnit.NANOSECONDS)
                        .description(ProxyMeters.HEALTH_INTERVAL.description())
                        .tags(tags)
                        .register(registry));
            }
            Set<String> names = new HashSet<>();
            List<Supplier<Member>> views = pool.views();
            for (int i = 0; i < views.size() && left > 0; i++, left--) {
                Supplier<Member> view = views.get(i);
                String address = view.get().proxy().address();
                String unique = names.add(address) ? address : address + "#" + i; // with other credentials
                meters.addAll(member(registry, view, tags.and(PROXY.asString(), unique)));
            }
        }
        return meters;
    }

    private static List<Meter> member(MeterRegistry registry, Supplier<Member> view, Tags tags) {
        return List.of(
                ProxyMeters.MEMBER_UP
                        .gauge(tags, () -> view.get().state() == MemberState.UP ? 1 : 0)
                        .register(registry),
                ProxyMeters.MEMBER_CONNECTIONS_ACTIVE
                        .gauge(tags, () -> view.get().activeConnections())
                        .register(registry),
                connections(registry, view, tags.and(OUTCOME.asString(), "succeeded"), it ->
                        (double) it.get().succeededConnections()),
                connections(registry, view, tags.and(OUTCOME.asString(), "failed"), it ->
                        (double) it.get().failedConnections()));
    }

    private static Meter connections(
            MeterRegistry registry, Supplier<Member> view, Tags tags, ToDoubleFunction<Supplier<Member>> count) {
        return ProxyMeters.MEMBER_CONNECTIONS.counter(tags, view, count).register(registry);
    }
}
