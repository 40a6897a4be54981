package io.egressproxy.benchmarks;

import io.egressproxy.autoconfigure.EgressProxyAutoConfiguration;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

/**
 * The start of an application, cold, with a pool of this many proxies in its YAML file. What the proxies add is the difference to
 * the row of {@code 10000 unread}, where the same list stands in the same file under another key, and so Spring Boot alone reads it;
 * {@code disabled} is the lower bound, with the starter there and {@code proxy.enabled} false.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 0)
@Measurement(iterations = 1)
public class StartBenchmark {
    @Param({"disabled", "1", "1000", "10000 unread", "10000", "10000 weighted"})
    private String pool;

    private Path configuration;
    private ConfigurableApplicationContext context;

    /** Nothing but the library. */
    @Configuration(proxyBeanMethods = false)
    @ImportAutoConfiguration(EgressProxyAutoConfiguration.class)
    static class Application {}

    @Setup
    public void writeConfiguration() throws IOException {
        boolean disabled = pool.equals("disabled");
        boolean weighted = pool.endsWith(" weighted");
        int size = disabled ? 1 : Integer.parseInt(pool.split(" ")[0]);
        StringBuilder yaml = new StringBuilder("proxy.enabled: " + !disabled + "\n");
        if (pool.endsWith(" unread")) {
            yaml.append(
                    "proxy.default.http.url: http://10.0.0.1:8080\nunrelated:\n  default:\n    http:\n      pool:\n");
        } else {
            yaml.append("proxy:\n  default:\n    http:\n      pool:\n");
        }
        for (int i = 0; i < size; i++) {
            yaml.append("        - url: http://user:password@10.0.")
                    .append(i / 250)
                    .append('.')
                    .append(i % 250 + 1);
            yaml.append(":8080\n");
            if (weighted) {
                yaml.append("          weight: ").append(1 + i % 9 / 10.0).append('\n');
            }
        }
        configuration = Files.writeString(Files.createTempFile("start", ".yml"), yaml);
    }

    @Benchmark
    public Object start() {
        context = new SpringApplicationBuilder(Application.class)
                .web(WebApplicationType.NONE)
                .properties("spring.config.location=file:" + configuration, "logging.level.root=off")
                .run();
        return context;
    }

    @TearDown
    public void stop() throws IOException {
        context.close();
        Files.delete(configuration);
    }
}
