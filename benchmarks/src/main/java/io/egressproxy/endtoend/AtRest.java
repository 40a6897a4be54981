package io.egressproxy.endtoend;

import com.sun.management.OperatingSystemMXBean;
import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyUrl;
import io.egressproxy.netty.NettyHealthChecks;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.Socket;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.springframework.context.ConfigurableApplicationContext;
import reactor.core.publisher.Flux;

/**
 * What an application does while nobody asks anything of it: with 500 proxies of which each is checked every ten seconds, with the same proxies
 * unchecked, and with a thread that does no more than the checks' system calls as often. The proxies are 500 addresses of this machine on which one real proxy listens.
 *
 * <p>Arguments: the file for the measurements, how many rounds, how many seconds each, how many seconds before the first (four times as many if
 * there are checks), how many checks before that.
 */
final class AtRest {
    private static final String SCENARIO = "3 000 health checks a minute, at rest";
    private static final int PROXIES = 500;
    private static final int INTERVAL_SECONDS = 10;
    private static final int SETTLING_WITH_CHECKS = 4;
    private static final OperatingSystemMXBean PROCESS =
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

    private AtRest() {}

    public static void main(String[] arguments) throws IOException {
        int rounds = Integer.parseInt(arguments[1]);
        int seconds = Integer.parseInt(arguments[2]);
        Measurements measurements = new Measurements();
        try (Children children = new Children()) {
            int port = children.microsocks();
            try (ConfigurableApplicationContext idle = Applications.start(pool(port, false))) {
                pause(Integer.parseInt(arguments[3]));
                measure(measurements, "idle", idle, rounds, seconds);
            }
            try (ConfigurableApplicationContext idle = Applications.start(pool(port, false));
                    BareChecks bare = new BareChecks(port)) {
                bare.warmUp(Integer.parseInt(arguments[4]));
                pause(Integer.parseInt(arguments[3]));
                measure(measurements, "bare sockets", idle, rounds, seconds);
            }
            try (ConfigurableApplicationContext checking = Applications.start(pool(port, true))) {
                measure(measurements, "just started", checking, 1, seconds);
                warmUp(checking, port, Integer.parseInt(arguments[4]));
                pause(SETTLING_WITH_CHECKS
                        * Integer.parseInt(arguments[3])); // what starts them has to be compiled, too
                measure(measurements, "checking", checking, rounds, seconds);
            }
        }
        measurements.print(SCENARIO);
        measurements.write(arguments[0]);
        System.exit(0); // event loops that are nobody's
    }

    private static void measure(
            Measurements measurements,
            String variant,
            ConfigurableApplicationContext context,
            int rounds,
            int seconds) {
        for (int i = 0; i < rounds; i++) {
            double checks = checks(context);
            long cpu = PROCESS.getProcessCpuTime();
            long start = System.nanoTime();
            pause(seconds);
            double took = System.nanoTime() - start;
            measurements.add(SCENARIO, variant, "% of one core", 100 * (PROCESS.getProcessCpuTime() - cpu) / took);
            measurements.add(SCENARIO, variant, "checks/min", (checks(context) - checks) / took * 60e9);
            measurements.add(
                    SCENARIO,
                    variant,
                    "threads",
                    ManagementFactory.getThreadMXBean().getThreadCount());
        }
    }

    /** As many checks as an application has made after ten minutes, in a hurry: its code is compiled then. */
    private static void warmUp(ConfigurableApplicationContext context, int port, int checks) {
        HealthCheck handshake =
                context.getBean(NettyHealthChecks.class).byMethod().get("handshake");
        HealthCheck.Request request = new HealthCheck.Request(
                ProxyUrl.parse("socks5://127.0.0.1:" + port), null, null, "200-299", Duration.ofSeconds(5));
        Flux.range(0, checks).flatMap(i -> handshake.check(request), 16).blockLast();
    }

    private static double checks(ConfigurableApplicationContext context) {
        return context.getBean(MeterRegistry.class).find("proxy.health.checks").timers().stream()
                .mapToDouble(timer -> timer.count())
                .sum();
    }

    private static void pause(int seconds) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        for (long left = end - System.nanoTime(); left > 0; left = end - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    private static Map<String, Object> pool(int port, boolean checked) {
        Map<String, Object> properties = new LinkedHashMap<>();
        properties.put("proxy.enabled", "true");
        properties.put("proxy.default.http.health-check.enabled", String.valueOf(checked));
        properties.put("proxy.default.http.health-check.interval", INTERVAL_SECONDS + "s");
        for (int i = 0; i < PROXIES; i++) {
            properties.put(
                    "proxy.default.http.pool[" + i + "].url",
                    "socks5://127.0.%d.%d:%d".formatted(1 + i / 250, 1 + i % 250, port));
        }
        return properties;
    }

    /** The least that can be done: connects, greets, asks for nowhere, hears the refusal. */
    private static final class BareChecks implements AutoCloseable {
        private static final byte[] GREETING = {5, 1, 0};
        private static final byte[] TO_NOWHERE = {5, 1, 0, 1, 0, 0, 0, 0, 0, 1};
        private static final int ANSWERS = 12;

        private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
        private final int port;

        BareChecks(int port) {
            this.port = port;
            long between = TimeUnit.SECONDS.toMicros(INTERVAL_SECONDS) / PROXIES;
            thread.scheduleAtFixedRate(() -> check(port), 0, between, TimeUnit.MICROSECONDS);
        }

        void warmUp(int checks) {
            for (int i = 0; i < checks; i++) {
                check(port);
            }
        }

        private static void check(int port) {
            try (Socket socket = new Socket("127.0.0.1", port)) {
                socket.getOutputStream().write(GREETING);
                socket.getInputStream().readNBytes(2);
                socket.getOutputStream().write(TO_NOWHERE);
                socket.getInputStream().readNBytes(ANSWERS - 2);
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        }

        @Override
        public void close() {
            thread.shutdownNow();
        }
    }
}
