package io.egressproxy.service;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.benchmarks.NanosBenchmark;
import io.egressproxy.service.ConnectionReport.Event;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.locks.LockSupport;
import org.jctools.queues.MpscArrayQueue;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.Blackhole;

/**
 * What a connection pays for its report: one is made and offered to a queue that another thread empties, beside the bare queue and
 * the JDK's. Between two reports there is a little other work, as there would be.
 */
public class FeedbackBenchmark extends NanosBenchmark {
    private static final int CAPACITY = 4_096;
    private static final int BATCH = 256;
    private static final long OTHER_WORK = 20;
    private static final ExchangeId BINANCE = ExchangeId.of("binance");
    private static final Duration LATENCY = Duration.ofMillis(45);
    private static final Answer ANSWER = new Answer(null, null, null, "", FallbackPolicy.EMBEDDED_FALLBACK, 0, 1, 1);

    private final FeedbackQueue ours = new FeedbackQueue(CAPACITY);
    private final MpscArrayQueue<ConnectionReport> mpsc = new MpscArrayQueue<>(CAPACITY);
    private final ArrayBlockingQueue<ConnectionReport> blocking = new ArrayBlockingQueue<>(CAPACITY);
    private volatile boolean running = true;
    private Thread consumer;

    @Setup
    public void consume() {
        consumer = new Thread(() -> {
            List<ConnectionReport> batch = new ArrayList<>(CAPACITY);
            while (running) {
                ours.ordinary().drainTo(batch, BATCH);
                mpsc.drain(batch::add, BATCH);
                blocking.drainTo(batch, BATCH);
                if (batch.isEmpty()) {
                    LockSupport.parkNanos(1_000);
                }
                batch.clear();
            }
        });
        consumer.setDaemon(true);
        consumer.start();
    }

    @TearDown
    public void stop() throws InterruptedException {
        running = false;
        consumer.join();
    }

    private static ConnectionReport report() {
        Blackhole.consumeCPU(OTHER_WORK);
        return new ConnectionReport(Event.SUCCEEDED, BINANCE, ConnectionType.HTTP, ANSWER, LATENCY, null, 0);
    }

    @Benchmark
    public ConnectionReport noQueue() {
        return report();
    }

    @Benchmark
    public boolean ours() {
        return ours.offer(report());
    }

    @Benchmark
    public boolean mpscArrayQueue() {
        return mpsc.offer(report());
    }

    @Benchmark
    public boolean arrayBlockingQueue() {
        return blocking.offer(report());
    }
}
