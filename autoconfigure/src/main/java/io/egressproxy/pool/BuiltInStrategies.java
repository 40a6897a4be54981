package io.egressproxy.pool;

import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The strategies that everybody has. Each pool gets instances of its own, since a rotation is a matter of one pool. None
 * allocates.
 */
final class BuiltInStrategies {
    /** Up to so many proxies the least busy is found by looking at all of them. */
    private static final int EXACT_UP_TO = 128;

    private BuiltInStrategies() {}

    static @Nullable ProxySelectionStrategy named(String name) {
        return switch (name) {
            case "round_robin", "round-robin" -> new RoundRobin();
            case "random" -> random();
            case "least_connections", "least-connections" -> leastConnections();
            default -> null;
        };
    }

    /** One after the other, starting with the first. */
    static final class RoundRobin implements ProxySelectionStrategy {
        private final AtomicLong turn = new AtomicLong();

        @Override
        public int select(Candidates candidates, ProxyTarget target) {
            return ((PoolSnapshot) candidates).turn(turn.getAndIncrement() & Long.MAX_VALUE);
        }

        /** What {@link #select} would answer now. */
        int peek(PoolSnapshot candidates) {
            return candidates.turn(turn.get() & Long.MAX_VALUE);
        }
    }

    private static ProxySelectionStrategy random() {
        return (candidates, target) -> {
            PoolSnapshot pool = (PoolSnapshot) candidates;
            return pool.turn(ThreadLocalRandom.current().nextInt(pool.turns()));
        };
    }

    private static ProxySelectionStrategy leastConnections() {
        AtomicLong rotation = new AtomicLong();
        return (candidates, target) -> {
            PoolSnapshot pool = (PoolSnapshot) candidates;
            long now = pool.now();
            return pool.size() > EXACT_UP_TO
                    ? lessBusyOfTwo(pool, now)
                    : leastBusy(pool, now, (int) ((rotation.getAndIncrement() & Long.MAX_VALUE) % pool.size()));
        };
    }

    private static int leastBusy(PoolSnapshot pool, long now, int start) {
        int best = start;
        double least = busyness(pool, start, now);
        for (int i = 1; i < pool.size(); i++) {
            int index = start + i < pool.size() ? start + i : start + i - pool.size();
            double busyness = busyness(pool, index, now);
            if (busyness < least) {
                least = busyness;
                best = index;
            }
        }
        return best;
    }

    private static int lessBusyOfTwo(PoolSnapshot pool, long now) {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        int one = random.nextInt(pool.size());
        int other = random.nextInt(pool.size() - 1);
        other += other >= one ? 1 : 0;
        return busyness(pool, one, now) <= busyness(pool, other, now) ? one : other;
    }

    /** One connection more than it has, by its share: with weight 2 a proxy is as busy with three as another with one. */
    private static double busyness(PoolSnapshot pool, int index, long now) {
        return (pool.load(index, now) + 1) / pool.weight(index);
    }
}
