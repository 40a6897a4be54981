package io.egressproxy.service;

import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import org.jctools.queues.MpscArrayQueue;

/**
 * Reports that wait to be sent, in two lanes of the same length: failures, and all others. A failure never gives way to a success.
 * {@link #offer} is for any thread, and neither blocks nor waits; the rest is for one thread at a time.
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

        boolean offer(ConnectionReport report) {
            boolean taken = reports.offer(report);
            if (!taken) {
                overflow.increment();
            }
            return taken;
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
        return (report.isUrgent() ? urgent : ordinary).offer(report);
    }

    Lane urgent() {
        return urgent;
    }

    Lane ordinary() {
        return ordinary;
    }
}
