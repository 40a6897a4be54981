package io.egressproxy.endtoend;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * How long an application takes from the start of its JVM until it runs: without the library's auto-configuration, twice, with the library there and
 * switched off, all three with the settings left in the file that it had before, and with many proxies in its YAML file, unchecked. One part of the
 * latter is Spring Boot's own reading of so large a file, which a file shows that holds the same list under a key that nobody reads. In each round
 * all take their turn, each in a JVM of its own; those without the library and those switched off several times.
 *
 * <p>Arguments: the file for the measurements, how many rounds.
 */
final class StartUp {
    private static final String SCENARIO = "start of an application";
    private static final int MANY = 10_000;
    private static final int TIMES_PER_ROUND = 5; // of those that are to differ by little
    // all of it there from the start, as in benchmarks/run: memory that is touched for the first time costs time, and
    // not always the same
    private static final List<String> HEAP = List.of("-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch");

    private StartUp() {}

    /** What is started: says so when it is there. */
    static final class Started {
        public static void main(String[] arguments) {
            Map<String, Object> properties = new LinkedHashMap<>();
            properties.put("spring.config.location", "file:" + arguments[0]);
            if (arguments[1].equals("without")) {
                Applications.startWithoutLibrary(properties);
            } else {
                Applications.start(properties);
            }
            System.out.println("started");
            System.exit(0);
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("startup");
        Map<String, Path> files = new LinkedHashMap<>();
        Path off = Files.writeString(directory.resolve("off.yml"), settings(false));
        files.put("without the library", off);
        files.put("disabled", off);
        files.put("without the library again", off);
        files.put("no proxies", Files.writeString(directory.resolve("none.yml"), "proxy.enabled: true\n"));
        files.put(MANY + " proxies", Files.writeString(directory.resolve("many.yml"), "proxy:\n" + proxies()));
        files.put(
                "no proxies, and " + MANY + " lines unread",
                Files.writeString(directory.resolve("unread.yml"), "proxy.enabled: true\nunrelated:\n" + proxies()));
        Measurements measurements = new Measurements();
        List<String> order = new ArrayList<>();
        files.forEach((name, file) -> order.addAll(Collections.nCopies(file == off ? TIMES_PER_ROUND : 1, name)));
        int rounds = Integer.parseInt(arguments[1]);
        try (Children children = new Children()) {
            for (int i = 0; i < rounds; i++) {
                Collections.shuffle(order, new Random(i)); // neighbours shall not stay neighbours
                for (String name : order) {
                    long start = System.nanoTime();
                    children.java(
                            Started.class,
                            HEAP,
                            files.get(name).toString(),
                            name.startsWith("without") ? "without" : "with");
                    measurements.add(SCENARIO, name, "ms", (System.nanoTime() - start) / 1e6);
                    children.join();
                }
            }
        }
        measurements.print(SCENARIO);
        measurements.write(arguments[0]);
    }

    /** As a user leaves them who switches the library off for a while: a pool for each exchange, and a service that decides. */
    static String settings(boolean enabled) {
        StringBuilder yaml = new StringBuilder(
                """
                proxy:
                  enabled: %s
                  external-service:
                    enabled: true
                    endpoints: ["https://proxy-service-1.example.org", "https://proxy-service-2.example.org"]
                    auth-credentials:
                      token: ${PROXY_SERVICE_TOKEN:none}
                  exchanges:
                """
                        .formatted(enabled));
        for (String exchange : List.of("binance", "kraken", "coinbase", "bitstamp", "okx")) {
            yaml.append("    %1$s:\n      hosts: [\"*.%1$s.com\"]\n      require-proxy: true\n".formatted(exchange));
            for (String type : List.of("http", "websocket")) {
                yaml.append("      %s:\n        strategy: least_connections\n        pool:\n".formatted(type));
                for (int i = 1; i <= 3; i++) {
                    yaml.append(
                            "          - url: socks5://user:password@%s-%d.example.org:1080\n".formatted(exchange, i));
                }
            }
        }
        return yaml.toString();
    }

    private static String proxies() {
        StringBuilder yaml = new StringBuilder(
                "  enabled: true\n  default:\n    http:\n      health-check:\n        enabled: false\n      pool:\n");
        for (int i = 0; i < MANY; i++) {
            yaml.append("        - url: http://user:password@10.0.%d.%d:8080\n".formatted(i / 250, i % 250 + 1));
        }
        return yaml.toString();
    }
}
