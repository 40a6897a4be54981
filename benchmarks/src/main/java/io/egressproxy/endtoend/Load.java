package io.egressproxy.endtoend;

import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Asks again and again, some at a time, and tells what that took. Each asks as soon as it has its answer. */
final class Load {
    private static final OperatingSystemMXBean PROCESS =
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    private static final ThreadMXBean THREADS = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    private static final int MOST_REQUESTS = 60_000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /**
     * What a round took, all threads of the client's JVM together.
     *
     * @param requestsPerSecond throughput
     * @param p50Micros until the answer, for half of the requests
     * @param p99Micros until the answer, for 99 in 100
     * @param cpuMicros processor time for a request
     * @param bytes allocated for a request
     */
    record Round(double requestsPerSecond, double p50Micros, double p99Micros, double cpuMicros, double bytes) {}

    private Load() {}

    static Round run(Mono<?> request, int atATime, Duration time) {
        long[][] latencies = new long[atATime][MOST_REQUESTS]; // before anything is counted
        int[] counts = new int[atATime];
        long bytes = allocated();
        long cpu = PROCESS.getProcessCpuTime();
        long start = System.nanoTime();
        long end = start + time.toNanos();
        Flux.range(0, atATime)
                .flatMap(user -> asking(request, end, latencies[user], counts, user), atATime)
                .blockLast(PATIENCE);
        double took = System.nanoTime() - start;
        double cpuTaken = PROCESS.getProcessCpuTime() - cpu;
        double allocated = allocated() - bytes;
        long[] all = IntStream.range(0, atATime)
                .boxed()
                .flatMapToLong(user -> Arrays.stream(latencies[user], 0, counts[user]))
                .sorted()
                .toArray();
        return new Round(
                all.length / took * 1e9,
                percentile(all, 50),
                percentile(all, 99),
                cpuTaken / all.length / 1e3,
                allocated / all.length);
    }

    /** One user, whose latencies are noted in nanoseconds. */
    private static Mono<?> asking(Mono<?> request, long end, long[] latencies, int[] counts, int user) {
        long[] asked = {System.nanoTime()};
        return request.doOnSuccess(answer -> {
                    long now = System.nanoTime();
                    latencies[counts[user]++] = now - asked[0];
                    asked[0] = now;
                })
                .repeat(() -> asked[0] - end < 0 && counts[user] < MOST_REQUESTS)
                .then();
    }

    private static double percentile(long[] sorted, int percent) {
        return sorted[Math.min(sorted.length - 1, sorted.length * percent / 100)] / 1e3;
    }

    /** By threads that are alive; those of a client's event loops are. */
    private static long allocated() {
        long[] ids = Arrays.stream(THREADS.getAllThreadIds()).toArray();
        return LongStream.of(THREADS.getThreadAllocatedBytes(ids))
                .filter(bytes -> bytes > 0)
                .sum();
    }
}
