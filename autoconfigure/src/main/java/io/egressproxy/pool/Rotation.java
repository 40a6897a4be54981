package io.egressproxy.pool;

import java.util.concurrent.atomic.AtomicLongFieldUpdater;

/** Whose turn it is, as a place on a circle of 2^63 steps. A strategy is one itself: whatever stands between it and the counter is paid for by each connection. */
class Rotation extends CacheLine {
    private static final AtomicLongFieldUpdater<Rotation> POSITION =
            AtomicLongFieldUpdater.newUpdater(Rotation.class, "position");

    private volatile long position; // written by POSITION only

    /** Where it is, before it goes on. */
    final long goOn(long step) {
        return POSITION.getAndAdd(this, step);
    }

    /**
     * The same without waiting for others, for whom it matters little: of two that do so at once both may be at the same place.
     */
    final long goOnRoughly(long step) {
        long before = position;
        POSITION.lazySet(this, before + step);
        return before;
    }

    final long position() {
        return position;
    }
}
