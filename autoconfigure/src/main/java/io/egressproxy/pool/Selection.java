package io.egressproxy.pool;

import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.util.Collection;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * How a pool chooses among its usable proxies. Each pool has an instance of its own, since a rotation is a matter of one pool.
 * Thread-safe; the built-in ones allocate nothing, and what some proxies are left out for a connection costs them a few more
 * draws, not a copy of the pool.
 */
abstract class Selection extends Rotation {
    /** Up to so many proxies the least busy is found by looking at all of them. */
    private static final int EXACT_UP_TO = 128;

    /** After so many draws that hit proxies left out, the next one in the list that is not left out is taken. */
    private static final int MOST_DRAWS = 64;

    /**
     * Chooses a proxy.
     *
     * @param usable the usable proxies of the pool
     * @param leftOut those that this connection must not get
     * @param target where it goes
     * @return a proxy, or null if all usable ones are left out
     */
    abstract @Nullable PooledProxy select(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target);

    /** What {@link #select} would choose now; turns no rotation. */
    @Nullable
    PooledProxy preview(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
        return select(usable, leftOut, target);
    }

    /** The built-in strategy of that name, or null. */
    static @Nullable Selection builtIn(String name) {
        return switch (name) {
            case "round_robin", "round-robin" -> new RoundRobin();
            case "random" -> new Random();
            case "least_connections", "least-connections" -> new LeastConnections();
            default -> null;
        };
    }

    /** By a strategy of the application's own. */
    static Selection by(String name, ProxySelectionStrategy strategy) {
        return new Own(name, strategy);
    }

    /** The first of the list, from where a rotation is on, that is usable and not left out. */
    private static @Nullable PooledProxy next(PoolSnapshot usable, Collection<ProxyUrl> leftOut, long position) {
        int size = usable.size();
        int start = usable.index(position);
        for (int i = 0; i < size; i++) {
            PooledProxy proxy = usable.get((start + i) % size);
            if (!leftOut.contains(proxy.url())) {
                return proxy;
            }
        }
        return null;
    }

    /**
     * One after the other, starting with the first. Connections that must not get some of the proxies go by a rotation of their
     * own: in a shared one the proxy after a failing one would get its share as well.
     */
    private static final class RoundRobin extends Selection {
        private final Rotation ofLimited = new Rotation();

        @Override
        @Nullable
        PooledProxy select(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
            Rotation rotation = leftOut.isEmpty() ? this : ofLimited;
            PooledProxy first = usable.next(rotation);
            return first != null && (leftOut.isEmpty() || !leftOut.contains(first.url()))
                    ? first
                    : next(usable, leftOut, rotation);
        }

        private static @Nullable PooledProxy next(
                PoolSnapshot usable, Collection<ProxyUrl> leftOut, Rotation rotation) {
            for (int i = 1; i < MOST_DRAWS; i++) {
                PooledProxy proxy = usable.next(rotation);
                if (proxy != null && !leftOut.contains(proxy.url())) {
                    return proxy;
                }
            }
            return Selection.next(usable, leftOut, rotation.position() - usable.step());
        }

        @Override
        @Nullable
        PooledProxy preview(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
            long position = (leftOut.isEmpty() ? this : ofLimited).position();
            for (int i = 0; i < MOST_DRAWS; i++) {
                PooledProxy proxy = usable.turn(position + i * usable.step());
                if (proxy != null && !leftOut.contains(proxy.url())) {
                    return proxy;
                }
            }
            return Selection.next(usable, leftOut, position + (MOST_DRAWS - 1) * usable.step());
        }
    }

    /** Any, by weight. */
    private static final class Random extends Selection {
        @Override
        @Nullable
        PooledProxy select(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
            return draw(usable, leftOut, null);
        }

        /** At random by weight, but not {@code other}. */
        static @Nullable PooledProxy draw(
                PoolSnapshot usable, Collection<ProxyUrl> leftOut, @Nullable PooledProxy other) {
            ThreadLocalRandom random = ThreadLocalRandom.current();
            for (int i = 0; i < MOST_DRAWS; i++) {
                PooledProxy proxy = usable.turn(random.nextLong());
                if (proxy != null && proxy != other && (leftOut.isEmpty() || !leftOut.contains(proxy.url()))) {
                    return proxy;
                }
            }
            return next(usable, leftOut, random.nextLong());
        }
    }

    /**
     * The one with the fewest connections for its weight: up to 128 proxies of all, above that of two drawn by weight, which
     * spreads almost as well at no cost (the power of two choices). Those that are equally busy come in rotation.
     */
    private static final class LeastConnections extends Selection {
        @Override
        @Nullable
        PooledProxy select(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
            return usable.size() > EXACT_UP_TO
                    ? lessBusyOfTwo(usable, leftOut)
                    : leastBusy(usable, leftOut, goOnRoughly(usable.step()));
        }

        private static @Nullable PooledProxy leastBusy(
                PoolSnapshot usable, Collection<ProxyUrl> leftOut, long position) {
            boolean weighted = usable.isWeighted();
            PooledProxy first = usable.turn(position);
            PooledProxy best = first != null && leftOut.contains(first.url()) ? null : first;
            int bestLoad = best == null ? Integer.MAX_VALUE : usable.load(best);
            if (bestLoad == 0) {
                return best;
            }
            if (best != null && !weighted && leftOut.isEmpty() && !usable.hasLessBusy(bestLoad)) {
                return best; // the ordinary case, and quickly found out
            }
            int ties = 0;
            for (int i = 0; i < usable.size(); i++) {
                PooledProxy proxy = usable.get(i);
                int load = usable.load(proxy);
                double less =
                        best == null || !weighted ? bestLoad - load : bestLoad * proxy.weight() - load * best.weight();
                if (less < 0 || proxy == best || (!leftOut.isEmpty() && leftOut.contains(proxy.url()))) {
                    continue;
                }
                if (less > 0) {
                    ties = 1;
                } else if (best == first) {
                    continue; // it is its turn
                } else if (ThreadLocalRandom.current().nextInt(++ties) > 0) {
                    continue; // each of a tie is as likely; the next in the list would get the share of those before it
                }
                best = proxy;
                bestLoad = load;
            }
            return best;
        }

        private static @Nullable PooledProxy lessBusyOfTwo(PoolSnapshot usable, Collection<ProxyUrl> leftOut) {
            if (leftOut.isEmpty() && !usable.isWeighted()) { // the ordinary case
                ThreadLocalRandom random = ThreadLocalRandom.current();
                PooledProxy one = usable.get(usable.index(random.nextLong()));
                PooledProxy other = usable.get(usable.index(random.nextLong())); // now and then the same one
                return usable.load(one) <= usable.load(other) ? one : other;
            }
            PooledProxy one = Random.draw(usable, leftOut, null);
            PooledProxy other = Random.draw(usable, leftOut, one);
            if (one == null || other == null) {
                return one;
            }
            return usable.load(one) * other.weight() <= usable.load(other) * one.weight() ? one : other;
        }
    }

    /** As the application says, among those that are not left out. */
    private static final class Own extends Selection {
        private final String name;
        private final ProxySelectionStrategy strategy;

        Own(String name, ProxySelectionStrategy strategy) {
            this.name = name;
            this.strategy = strategy;
        }

        @Override
        @Nullable
        PooledProxy select(PoolSnapshot usable, Collection<ProxyUrl> leftOut, ProxyTarget target) {
            PoolSnapshot candidates = leftOut.isEmpty() ? usable : usable.without(leftOut);
            if (candidates.size() == 0) {
                return null;
            }
            int index = strategy.select(candidates, target);
            if (index < 0 || index >= candidates.size()) {
                throw new IllegalStateException(
                        "the strategy '" + name + "' chose number " + index + " of " + candidates.size() + " proxies");
            }
            return candidates.get(index);
        }
    }
}
