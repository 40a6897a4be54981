package io.egressproxy.pool;

import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyUrl;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** The proxies of a pool that are usable at one moment, and the order in which their turns come. Immutable. */
final class PoolSnapshot implements ProxySelectionStrategy.Candidates {
    private static final PooledProxy[] LIST_ORDER = {};

    private final PooledProxy[] proxies;
    private final PooledProxy[] turns; // by weight; empty if they come as listed
    private final PooledProxy[] inTurn;
    private final boolean weighted;
    private final LongSupplier nanoTime;
    private final long step;

    private PoolSnapshot(PooledProxy[] proxies, PooledProxy[] turns, LongSupplier nanoTime) {
        this.proxies = proxies;
        this.turns = turns;
        this.nanoTime = nanoTime;
        this.weighted = turns.length > 0;
        this.inTurn = weighted ? turns : proxies;
        this.step = Long.MAX_VALUE / Math.max(1, inTurn.length) + 1;
    }

    /**
     * All proxies of a pool.
     *
     * @param proxies the proxies
     * @param nanoTime the monotonic clock
     */
    static PoolSnapshot of(List<PooledProxy> proxies, LongSupplier nanoTime) {
        double[] weights = proxies.stream().mapToDouble(PooledProxy::weight).toArray();
        boolean alike = Arrays.stream(weights).distinct().count() <= 1;
        PooledProxy[] turns = alike
                ? LIST_ORDER
                : Arrays.stream(WeightedOrder.of(weights))
                        .mapToObj(proxies::get)
                        .toArray(PooledProxy[]::new);
        return new PoolSnapshot(proxies.toArray(PooledProxy[]::new), turns, nanoTime);
    }

    /**
     * Some of the proxies. The order of turns by weight is that of all: it is long and is worked out once, and a proxy that is
     * not usable just misses its turns.
     */
    PoolSnapshot only(List<PooledProxy> usable) {
        return new PoolSnapshot(usable.toArray(PooledProxy[]::new), turns, nanoTime);
    }

    /** The same and one more of the pool, at its place in the list. */
    PoolSnapshot with(PooledProxy more) {
        int found = Arrays.binarySearch(proxies, more, PooledProxy.IN_LIST_ORDER);
        int place = found < 0 ? -found - 1 : found;
        PooledProxy[] all = Arrays.copyOf(proxies, proxies.length + 1);
        System.arraycopy(proxies, place, all, place + 1, proxies.length - place);
        all[place] = more;
        return new PoolSnapshot(all, turns, nanoTime);
    }

    /** The same without one of its proxies. */
    PoolSnapshot without(PooledProxy one) {
        int place = Arrays.binarySearch(proxies, one, PooledProxy.IN_LIST_ORDER);
        PooledProxy[] others = Arrays.copyOf(proxies, proxies.length - 1);
        System.arraycopy(proxies, place + 1, others, place, others.length - place);
        return new PoolSnapshot(others, turns, nanoTime);
    }

    /** Other proxies of the pool, in the order of the list. */
    PoolSnapshot unweighted(List<PooledProxy> others) {
        return new PoolSnapshot(others.toArray(PooledProxy[]::new), LIST_ORDER, nanoTime);
    }

    /** The same without some proxies. */
    PoolSnapshot without(Collection<ProxyUrl> leftOut) {
        return only(Arrays.stream(proxies)
                .filter(proxy -> !leftOut.contains(proxy.url()))
                .toList());
    }

    PooledProxy get(int index) {
        return proxies[index];
    }

    /** Whether the weights of the pool's proxies differ. */
    boolean isWeighted() {
        return weighted;
    }

    /**
     * How far a rotation goes from one turn to the next. A rotation is a circle of 2^63 steps, so that whose turn it is takes a multiplication and not
     * a division, which costs as much as all the rest; after 2^49 turns among 10 000 one is skipped.
     */
    long step() {
        return step;
    }

    /**
     * Whose turn it is in a rotation.
     *
     * @param position where the rotation is
     * @return the proxy, or null if it is not usable now
     */
    @Nullable
    PooledProxy turn(long position) {
        return inTurn(position, inTurn, weighted);
    }

    /**
     * Whose turn it is, and goes on to the next. What is needed of the snapshot is read before: no read can be brought forward over the step.
     *
     * @param rotation by {@link #step}s
     * @return the proxy, or null if it is not usable now
     */
    @Nullable
    PooledProxy next(Rotation rotation) {
        PooledProxy[] list = inTurn;
        boolean byWeight = weighted;
        return inTurn(rotation.goOn(step), list, byWeight);
    }

    private static @Nullable PooledProxy inTurn(long position, PooledProxy[] list, boolean byWeight) {
        PooledProxy proxy = list[index(position, list.length)];
        return byWeight && !proxy.isUsable() ? null : proxy;
    }

    /** Where in the list of the usable ones that is. */
    int index(long position) {
        return index(position, proxies.length);
    }

    /** The position's share of the circle, of the list. */
    private static int index(long position, int length) {
        return (int) Math.multiplyHigh(position & Long.MAX_VALUE, 2L * length);
    }

    /** How busy a proxy is; at the clock is looked only if it has failed of late. */
    int load(PooledProxy proxy) {
        return proxy.load(nanoTime);
    }

    /** Whether a proxy is less busy than that; at the clock is looked only if one has failed of late, and hardly ever then. */
    boolean hasLessBusy(int load) {
        PooledProxy[] list = proxies; // each look at a count would read the field anew
        for (PooledProxy proxy : list) {
            if (proxy.activeConnections() < load && proxy.load(nanoTime) < load) {
                return true;
            }
        }
        return false;
    }

    /** Whether more than one of the proxies is not among those left out. */
    boolean hasAnotherBut(Collection<ProxyUrl> leftOut) {
        if (proxies.length > leftOut.size() + 1) {
            return true;
        }
        int left = 0;
        for (PooledProxy proxy : proxies) {
            left += leftOut.contains(proxy.url()) ? 0 : 1;
        }
        return left > 1;
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
        return load(proxies[index]);
    }
}
