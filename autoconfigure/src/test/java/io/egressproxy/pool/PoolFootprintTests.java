package io.egressproxy.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import ch.qos.logback.classic.Level;
import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

@Tag("NFR-3")
class PoolFootprintTests {
    private static final Logger log = LoggerFactory.getLogger(PoolFootprintTests.class);
    private static final String FIGURE = "bytes per proxy: ";
    private static final int PROXIES = 20_000; // so many in all that what else moves on the heap does not matter

    @Test
    void aProxyTakesAtMostTwoKilobytesHoweverManyThereAre() throws IOException, InterruptedException {
        double ofThousand = inAnotherJvm(1_000);
        double ofTenThousand = inAnotherJvm(10_000);
        log.info(
                "memory per configured proxy, with settings, breaker, health state and failures: {} B at 1 000, {} B at 10 000",
                Math.round(ofThousand),
                Math.round(ofTenThousand));
        assertThat(ofThousand).isBetween(100.0, 2_048.0);
        assertThat(ofTenThousand).isLessThanOrEqualTo(2_048).isCloseTo(ofThousand, withinPercentage(10));
    }

    /** Where nothing else has left anything behind, which would be collected whenever it likes. */
    private static double inAnotherJvm(int size) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        PoolFootprintTests.class.getName(),
                        String.valueOf(size))
                .redirectErrorStream(true)
                .start();
        List<String> output = process.inputReader().lines().toList();
        assertThat(process.waitFor()).as("%s", output).isZero();
        return output.stream()
                .filter(line -> line.startsWith(FIGURE))
                .mapToDouble(line -> Double.parseDouble(line.substring(FIGURE.length())))
                .findFirst()
                .orElseThrow();
    }

    /** Prints the bytes for each proxy in pools of this size. */
    public static void main(String[] arguments) {
        ((ch.qos.logback.classic.Logger) LoggerFactory.getLogger(ProxyPool.class))
                .setLevel(Level.ERROR); // twenty thousand proxies fail below
        int size = Integer.parseInt(arguments[0]);
        bytesPerProxy(size); // loads all classes, and whatever else is there for good
        System.out.println(FIGURE + bytesPerProxy(size));
    }

    private static double bytesPerProxy(int size) {
        long before = usedHeap();
        List<Object> pools = new ArrayList<>();
        for (int i = 0; i < PROXIES / size; i++) {
            pools.add(checkedPool(size));
        }
        long after = usedHeap();
        Reference.reachabilityFence(pools);
        return (double) (after - before) / PROXIES;
    }

    /** A pool with weights, of which every proxy has failed once of its own and once for a target, and is due for a check. */
    private static List<Object> checkedPool(int size) {
        ProxyEntry one = ProxyEntry.directly();
        ProxyEntry entry = new ProxyEntry(
                null,
                null,
                false,
                null,
                IntStream.range(0, size)
                        .mapToObj(i -> new PoolMember(
                                ProxyUrl.parse("socks5://user" + i + ":password@proxy-" + i + ".example.org:1080"),
                                null,
                                1 + i % 9 / 10.0,
                                true,
                                null,
                                null))
                        .toList(),
                null,
                "round_robin",
                3,
                Duration.ofSeconds(5),
                OnExhausted.LAST_RESORT,
                one.healthCheck(),
                one.circuitBreaker());
        ProxyPool pool = new ProxyPool("p", entry, name -> null);
        HealthMonitor monitor = new HealthMonitor(VirtualTimeScheduler.create(), ProxyEventListener.NONE);
        HealthCheck never = request -> Mono.never();
        monitor.start(List.of(pool), method -> never);
        ProxyTarget target = new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);
        for (Blame blame : List.of(Blame.PROXY, Blame.AMBIGUOUS)) {
            for (int i = 0; i < size * 2; i++) {
                ((ProxyPool.Use) pool.acquire(target, List.of()))
                        .close(new Outcome.Failed(ConnectionStage.TCP, blame, "failed"));
            }
        }
        return List.of(pool, monitor);
    }

    private static long usedHeap() {
        Runtime runtime = Runtime.getRuntime();
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
