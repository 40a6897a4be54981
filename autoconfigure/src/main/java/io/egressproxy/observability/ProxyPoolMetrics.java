package io.egressproxy.observability;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Map;
import java.util.function.IntSupplier;

/** How many proxies of each pool are in which state: {@value #PROXIES}, by {@value #POOL} and {@value #STATE}. */
public final class ProxyPoolMetrics implements MeterBinder {

    /** Gauge of proxies. */
    public static final String PROXIES = "proxy.pool.proxies";

    static final String POOL = "pool";
    static final String STATE = "state";

    private final Map<String, Map<String, IntSupplier>> pools;

    /**
     * Gauges of pools.
     *
     * @param pools by name, and for each how many of its proxies are in which state
     */
    public ProxyPoolMetrics(Map<String, Map<String, IntSupplier>> pools) {
        this.pools = Map.copyOf(pools);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        pools.forEach((pool, states) ->
                states.forEach((state, count) -> Gauge.builder(PROXIES, count, counted -> (double) counted.getAsInt())
                        .tags(POOL, pool, STATE, state)
                        .strongReference(true)
                        .register(registry)));
    }
}
