package io.egressproxy.pool;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.benchmarks.NanosBenchmark;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import reactor.core.scheduler.Schedulers;

/**
 * Taking a proxy out of a pool and giving it back, while all are well, while health checks hold a tenth of them down, while breakers do in a
 * pool without checks, and while one of them goes down and comes back each millisecond. Each proxy has three connections besides. A lease counts the use and is closed once; gRPC only chooses.
 */
public class LeaseBenchmark extends NanosBenchmark {
    private static final Outcome CANCELLED = new Outcome.Cancelled();
    private static final ProxyTarget TARGET =
            new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);
    private static final int OPEN = 3;
    private static final int FAILURES = 100;
    private static final long OUT_NANOS = Duration.ofHours(1).toNanos();
    private static final long FLIP_NANOS = Duration.ofMillis(1).toNanos();

    @Param({"10", "100", "1000", "10000"})
    private int size;

    @Param({"well", "tenth_down", "tenth_ejected", "flipping"})
    private String health;

    @Param({"round_robin", "random", "least_connections", "grpc_round_robin"})
    private String strategy;

    private Supplier<Object> pick;
    private Thread flips;
    private volatile boolean running = true;

    @Setup
    public void create() {
        Consumer<Boolean> flip;
        if (strategy.equals("grpc_round_robin")) {
            GrpcPicker grpc = new GrpcPicker(GrpcPicker.provider("round_robin"), size, this::isDown);
            pick = grpc::pick;
            flip = grpc::flip;
        } else {
            ProxyPool pool = pool();
            pick = () -> takeAndGiveBack(pool);
            flip = down -> flip(pool, down);
        }
        flips = new Thread(() -> {
            boolean down = false;
            while (running) {
                down = !down;
                flip.accept(down);
                LockSupport.parkNanos(FLIP_NANOS);
            }
        });
        if (health.equals("flipping")) {
            flips.start();
        }
    }

    @TearDown
    public void stop() throws InterruptedException {
        running = false;
        flips.join();
    }

    private boolean isDown(int index) {
        return health.startsWith("tenth") && index % 10 == 0;
    }

    private ProxyPool pool() {
        List<ProxyUrl> urls = IntStream.range(0, size)
                .mapToObj(i -> ProxyUrl.parse("http://proxy-" + i + ":8080"))
                .toList();
        ProxyEntry one = ProxyEntry.directly();
        ProxyEntry entry = new ProxyEntry(
                null,
                10,
                false,
                null,
                urls.stream()
                        .map(url -> new PoolMember(url, null, 1, true, null, null))
                        .toList(),
                null,
                strategy,
                3,
                Duration.ofSeconds(5),
                OnExhausted.LAST_RESORT,
                one.healthCheck(),
                one.circuitBreaker());
        ProxyPool pool = new ProxyPool("benchmark", entry, name -> null);
        // as the monitor of an application does
        pool.timedBy((task, inNanos) -> Schedulers.single().schedule(task, inNanos, TimeUnit.NANOSECONDS));
        if (!health.equals("tenth_ejected")) {
            pool.checkedBy(HealthCheck.Level.TARGET, ProxyPool.CheckRequests.NONE);
        }
        for (int i = 0; i < size; i++) {
            if (isDown(i)) {
                takeOut(pool, pool.members().get(i));
            }
            for (int use = 0; use < OPEN; use++) {
                pool.members().get(i).taken();
            }
        }
        return pool;
    }

    /** By a health check, which will bring it back; or by its breaker, in a pool without checks. */
    private void takeOut(ProxyPool pool, PooledProxy proxy) {
        if (health.equals("tenth_down")) {
            pool.checkFailed(proxy, true, "as it should");
            return;
        }
        proxy.breaker().failed(FAILURES);
        proxy.breaker().open(System.nanoTime() + OUT_NANOS);
        pool.unchecked(); // makes it known
    }

    private static void flip(ProxyPool pool, boolean down) {
        PooledProxy first = pool.members().get(0);
        if (down) {
            pool.checkFailed(first, true, "as it should");
        } else {
            pool.checkSucceeded(first, HealthCheck.Level.TARGET, true);
        }
    }

    private static ProxyUrl takeAndGiveBack(ProxyPool pool) {
        ProxyPool.Use use = (ProxyPool.Use) pool.acquire(TARGET, List.of());
        use.close(CANCELLED);
        return use.proxy();
    }

    @Benchmark
    public Object take() {
        return pick.get();
    }
}
