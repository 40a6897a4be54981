package io.egressproxy.pool;

import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyUrl;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.LongSupplier;

/** The proxies of a pool that are usable at one moment. Immutable; what each selection needs is worked out once. */
final class PoolSnapshot implements ProxySelectionStrategy.Candidates {
    private final PooledProxy[] proxies;
    private final LongSupplier nanoTime;
    private final boolean weighted;
    private final int[] order;

    PoolSnapshot(List<PooledProxy> usable, LongSupplier nanoTime) {
        this.proxies = usable.toArray(PooledProxy[]::new);
        this.nanoTime = nanoTime;
        this.weighted =
                usable.stream().mapToDouble(PooledProxy::weight).distinct().count() > 1;
        this.order = weighted
                ? WeightedOrder.of(
                        usable.stream().mapToDouble(PooledProxy::weight).toArray())
                : new int[0];
    }

    /** The same without some proxies. */
    PoolSnapshot without(Collection<ProxyUrl> excluded) {
        return new PoolSnapshot(
                Arrays.stream(proxies)
                        .filter(proxy -> !excluded.contains(proxy.url()))
                        .toList(),
                nanoTime);
    }

    PooledProxy get(int index) {
        return proxies[index];
    }

    /**
     * The index for a turn of a rotation.
     *
     * @param turn 0 or more
     */
    int turn(long turn) {
        return weighted ? order[(int) (turn % order.length)] : (int) (turn % proxies.length);
    }

    /** How many turns it takes until all have had their share. */
    int turns() {
        return weighted ? order.length : proxies.length;
    }

    /** The time to read loads at; one look at the clock serves a whole selection. */
    long now() {
        return nanoTime.getAsLong();
    }

    int load(int index, long nowNanos) {
        return proxies[index].load(nowNanos);
    }

    @Override
    public int size() {
        return proxies.length;
    }

    @Override
    public ProxyUrl proxy(int index) {
        return proxies[index].url();
    }

    @Override
    public double weight(int index) {
        return proxies[index].weight();
    }

    @Override
    public int activeConnections(int index) {
        return proxies[index].load(now());
    }
}
