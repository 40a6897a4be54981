package io.egressproxy.service;

import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import org.jctools.queues.MpscArrayQueue;

/**
 * Reports that wait to be sent, in two lanes of the same length: failures, and all others. Failures may use both, so that successes are the first
 * to find no room.
 * {@link #offer} is for any thread and never blocks; the rest is for one thread at a time.
 */
final class FeedbackQueue {
    private final Lane urgent;
    private final Lane ordinary;

    /** One lane. */
    static final class Lane {
        private final MpscArrayQueue<ConnectionReport> reports;
        private final LongAdder overflow = new LongAdder();

        Lane(int capacity) {
            this.reports = new MpscArrayQueue<>(Math.max(2, capacity));
        }

        int size() {
            return reports.size();
        }

        /** Moves up to so many into a list, the oldest first. */
        void drainTo(List<ConnectionReport> target, int most) {
            reports.drain(target::add, most);
        }

        /** How many were turned away since this was last asked. */
        long overflown() {
            return overflow.sumThenReset();
        }
    }

    /**
     * An empty queue.
     *
     * @param capacity of each lane; rounded up to a power of two
     */
    FeedbackQueue(int capacity) {
        this.urgent = new Lane(capacity);
        this.ordinary = new Lane(capacity);
    }

    /** Takes a report, or counts it as dropped if its lane is full. */
    boolean offer(ConnectionReport report) {
        boolean taken = (report.isUrgent() && urgent.reports.offer(report)) || ordinary.reports.offer(report);
        if (!taken) {
            (report.isUrgent() ? urgent : ordinary).overflow.increment();
        }
        return taken;
    }

    Lane urgent() {
        return urgent;
    }

    Lane ordinary() {
        return ordinary;
    }
}
