package io.egressproxy.endtoend;

import io.egressproxy.endtoend.MicroBenchmarks.Key;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;

/**
 * Writes the page of results and its picture from what a full run has measured, so that no figure gets there by hand.
 *
 * <p>Arguments: the directory of the measurements, and where the page and the picture go.
 */
final class Results {
    private static final int EXACT_UP_TO = 128;
    private static final String PICTURE = "growth.png";
    private static final String AGAIN = " again";

    private final MicroBenchmarks micro;
    private final List<Integer> sizes; // of pools; one only in the short form
    private final Measurements endToEnd;
    private final Measurements startUp;
    private final Measurements atRest;
    private final Measurements memory;
    private final StringBuilder goals = new StringBuilder();
    private final String commits;
    private final StringBuilder details = new StringBuilder();

    private Results(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            this.micro = MicroBenchmarks.read(
                    files.filter(file -> file.getFileName().toString().matches("jmh.*[.]json"))
                            .sorted()
                            .toList());
        }
        this.sizes = micro.sizes("PickBenchmark.oursRoundRobin");
        this.endToEnd = Measurements.read(directory.resolve("end-to-end.json"));
        this.startUp = Measurements.read(directory.resolve("start-up.json"));
        this.atRest = Measurements.read(directory.resolve("at-rest.json"));
        this.memory = Measurements.read(directory.resolve("memory.json"));
        this.commits = commits(Files.readAllLines(directory.resolve("commits.txt")));
    }

    /** What was measured, by lines of a part's name and its commit. */
    private static String commits(List<String> parts) {
        Map<String, List<String>> byCommit = parts.stream()
                .map(part -> part.split(" "))
                .collect(Collectors.groupingBy(
                        part -> part[1], LinkedHashMap::new, Collectors.mapping(part -> part[0], Collectors.toList())));
        return byCommit.size() == 1
                ? "All of it is of one run, of commit "
                        + byCommit.keySet().iterator().next() + "."
                : byCommit.entrySet().stream()
                        .map(commit -> "Of commit " + commit.getKey() + ": " + String.join(", ", commit.getValue()))
                        .collect(Collectors.joining(". ", "**Of more than one run.** ", "."));
    }

    public static void main(String[] arguments) throws IOException {
        Locale.setDefault(Locale.ROOT);
        Path to = Path.of(arguments[1]);
        Results results = new Results(Path.of(arguments[0]));
        results.choices();
        results.leases();
        results.decisions();
        results.throughProxies();
        results.disabled();
        results.startAndMemory();
        results.rest();
        results.picture(to.resolve(PICTURE));
        Files.writeString(to.resolve("RESULTS.md"), results.page());
        System.exit(0); // the picture has started threads of the desktop
    }

    private String page() {
        return """
                # What the library costs

                Made by `benchmarks/run` on %s, JDK %s, %d cores of a shared machine, on %s: nothing here is written by hand. Medians, and
                quartiles in brackets. Read ratios, not absolute figures: the bounds themselves move by a fifth from one day to the next. Ratios of what
                is measured in nanoseconds are between medians of the same run, with the range that the quartiles of both leave open; end to end,
                all that is compared takes turns, and the ratio is that of the same round. "Within noise" says that the goal lies inside this range, so that the
                run does not decide. The goal "within" is to be no worse than the worse end of the interval in which the same client lies that is measured twice;
                that end is noise as well, and no smaller difference is seen. A peer is faster "within noise" where its quartiles overlap with ours.
                The bounds are the least code that we know of; a compiler may do better by ours now and then.
                Load and faults are measured elsewhere: [UNDER-LOAD.md](UNDER-LOAD.md).

                %s To repeat it, with microsocks and tinyproxy installed: `mvn -DskipTests package -pl benchmarks -am && benchmarks/run`; a part alone by
                `PARTS="lease decision" benchmarks/run`, with the names that stand in the script.

                | path | compared with (the bound; then others) | goal | measured | |
                |---|---|---|---|---|
                %s
                ![Decision cost and memory by the size of the pool](%s)

                %s"""
                .formatted(
                        System.getProperty("os.name"),
                        System.getProperty("java.version"),
                        Runtime.getRuntime().availableProcessors(),
                        LocalDate.now(ZoneOffset.UTC),
                        commits,
                        goals,
                        PICTURE,
                        details);
    }

    // the choice, and nothing else

    private void choices() {
        List<Integer> exact = sizes.stream().filter(size -> size <= EXACT_UP_TO).toList();
        List<Integer> drawn = sizes.stream().filter(size -> size > EXACT_UP_TO).toList();
        pick(
                "round_robin, one thread",
                "oursRoundRobin",
                "boundRoundRobin",
                1,
                1.0,
                sizes,
                "vertxRoundRobin",
                "grpcRoundRobin",
                "armeriaRoundRobin",
                "springCloudRoundRobin",
                "springCloudRoundRobinHealthChecked");
        pick(
                "round_robin, two threads",
                "oursRoundRobin",
                "boundRoundRobin",
                2,
                1.3,
                sizes,
                "vertxRoundRobin",
                "grpcRoundRobin",
                "armeriaRoundRobin",
                "springCloudRoundRobin",
                "springCloudRoundRobinHealthChecked");
        pick("random", "oursRandom", "boundRandom", 1, 1.2, sizes, "vertxRandom");
        pick(
                "least_connections above 128",
                "oursLeastConnections",
                "boundPowerOfTwoChoices",
                1,
                1.3,
                drawn,
                "grpcLeastRequest",
                "vertxPowerOfTwoChoices",
                "vertxLeastRequests");
        pick(
                "least_connections, exact",
                "oursLeastConnections",
                "boundLeastByScan",
                1,
                1.5,
                exact,
                "grpcLeastRequest",
                "vertxPowerOfTwoChoices",
                "vertxLeastRequests");
        details.append(
                """
                ## Choosing a proxy, and nothing else

                `PickBenchmark`, ns. Three connections are open through each proxy, where that counts. The bounds: an `AtomicLong` incremented, a modulo and
                an array read; `ThreadLocalRandom` and an array read; two such draws and the less busy of both; a scan for the least busy of all.
                Ours allocates %.1f B at most.

                """
                        .formatted(Stream.of("oursRoundRobin", "oursRandom", "oursLeastConnections")
                                .flatMap(method -> sizes.stream()
                                        .map(size ->
                                                Key.of("PickBenchmark." + method, 1, "size", String.valueOf(size))))
                                .mapToDouble(micro::bytes)
                                .max()
                                .orElseThrow()));
        table(
                1,
                "boundRoundRobin",
                "oursRoundRobin",
                "vertxRoundRobin",
                "grpcRoundRobin",
                "armeriaRoundRobin",
                "springCloudRoundRobin",
                "springCloudRoundRobinHealthChecked",
                "boundRandom",
                "oursRandom",
                "vertxRandom",
                "boundPowerOfTwoChoices",
                "boundLeastByScan",
                "oursLeastConnections",
                "grpcLeastRequest",
                "vertxPowerOfTwoChoices",
                "vertxLeastRequests");
        table(
                2,
                "boundRoundRobin",
                "oursRoundRobin",
                "vertxRoundRobin",
                "grpcRoundRobin",
                "armeriaRoundRobin",
                "springCloudRoundRobin",
                "springCloudRoundRobinHealthChecked");
    }

    private void pick(
            String path, String ours, String bound, int threads, double limit, List<Integer> of, String... peers) {
        if (of.isEmpty()) {
            return;
        }
        int worstAt = of.stream()
                .max(Comparator.comparing(
                        (Integer size) -> Ratio.between(pick(ours, size, threads), pick(bound, size, threads))
                                .median()))
                .orElseThrow();
        Ratio worst = Ratio.between(pick(ours, worstAt, threads), pick(bound, worstAt, threads));
        Peers beside = new Peers(ours, bound, List.of(peers), of, (method, size) -> pick(method, size, threads));
        goal(
                path + ", " + of.get(0) + " to " + of.get(of.size() - 1) + " proxies",
                bound + "; " + beside.besideTheBound(),
                "<= %.1fx".formatted(limit),
                worst + " at worst, with " + worstAt + ". " + beside.faster(),
                worst.isAtMost(limit));
    }

    private Quartiles pick(String method, int size, int threads) {
        return micro.nanos(Key.of("PickBenchmark." + method, threads, "size", String.valueOf(size)));
    }

    private void header(String first) {
        details.append("| %s | %s |\n|---|%s|\n"
                .formatted(
                        first,
                        sizes.stream().map(String::valueOf).collect(Collectors.joining(" | ")),
                        sizes.stream().map(size -> "--:").collect(Collectors.joining("|"))));
    }

    private void table(int threads, String... methods) {
        header(threads == 1 ? "one thread" : threads + " threads");
        for (String method : methods) {
            details.append("| %s | %s |\n"
                    .formatted(
                            method,
                            sizes.stream()
                                    .map(size -> shown(pick(method, size, threads)))
                                    .collect(Collectors.joining(" | "))));
        }
        details.append('\n');
    }

    // a lease, whatever health does

    private void leases() {
        for (String strategy : List.of("round_robin", "random", "least_connections", "grpc_round_robin")) {
            boolean ours = !strategy.startsWith("grpc");
            for (String health : List.of("tenth_down", "tenth_ejected", "flipping")) {
                Ratio worst = leases(strategy, health);
                goal(
                        strategy
                                + switch (health) {
                                    case "flipping" -> ", one flips each ms";
                                    case "tenth_down" -> ", 10 % held down by health checks";
                                    default -> ", 10 % ejected in a pool without health checks";
                                },
                        "the same while all are well",
                        ours ? "<= 1.2x" : "(peer)",
                        worst + " at worst",
                        ours ? worst.isAtMost(1.2) : "");
            }
        }
        details.append(
                """
                ## Taking a proxy out of a pool and giving it back

                `LeaseBenchmark`, ns: a lease counts the use and is closed once, where gRPC only chooses.

                """);
        header("strategy, health");
        for (String strategy : List.of("round_robin", "random", "least_connections", "grpc_round_robin")) {
            for (String health : List.of("well", "tenth_down", "tenth_ejected", "flipping")) {
                details.append("| %s, %s | %s |\n"
                        .formatted(
                                strategy,
                                health,
                                sizes.stream()
                                        .map(size -> health.equals("well") || isMeasuredWhateverHealthDoes(size)
                                                ? shown(lease(strategy, health, size))
                                                : "")
                                        .collect(Collectors.joining(" | "))));
            }
        }
        details.append('\n');
    }

    /** The worst of all sizes. */
    private Ratio leases(String strategy, String health) {
        return sizes.stream()
                .filter(Results::isMeasuredWhateverHealthDoes)
                .map(size -> Ratio.between(lease(strategy, health, size), lease(strategy, "well", size)))
                .max(Comparator.comparing(Ratio::median))
                .orElseThrow();
    }

    private static boolean isMeasuredWhateverHealthDoes(int size) {
        return size == 100 || size == 10_000;
    }

    private Quartiles lease(String strategy, String health, int size) {
        return micro.nanos(
                Key.of("LeaseBenchmark.take", 1, "strategy", strategy, "health", health, "size", String.valueOf(size)));
    }

    // decisions, kept answers, reports, meters

    private void decisions() {
        Key embedded = Key.of("DecisionBenchmark.embeddedPool", 1);
        Quartiles decision = micro.nanos(embedded);
        Ratio answer = Ratio.between(
                micro.nanos(Key.of("AnswerBenchmark.ours", 1)), micro.nanos(Key.of("AnswerBenchmark.bareCaffeine", 1)));
        goal(
                "whole embedded decision, meters on",
                "the sum of what it cannot spare: " + shown(micro.nanos(Key.of("DecisionBenchmark.bound", 1))) + " ns",
                "<= 500 ns, <= 200 B",
                shown(decision) + " ns, %.0f B".formatted(micro.bytes(embedded)),
                decision.median() <= 500 && Math.round(micro.bytes(embedded)) <= 200 ? "met" : "missed");
        goal("cached answer of the proxy service", "bareCaffeine", "<= 1.5x", answer.toString(), answer.isAtMost(1.5));
        for (int threads : new int[] {1, 2}) {
            Ratio offer = Ratio.between(
                    micro.nanos(Key.of("FeedbackBenchmark.ours", threads)),
                    micro.nanos(Key.of("FeedbackBenchmark.mpscArrayQueue", threads)));
            Ratio peer = Ratio.between(
                    micro.nanos(Key.of("FeedbackBenchmark.arrayBlockingQueue", threads)),
                    micro.nanos(Key.of("FeedbackBenchmark.mpscArrayQueue", threads)));
            goal(
                    "feedback offer, " + (threads == 1 ? "one producer" : "two producers"),
                    "mpscArrayQueue; arrayBlockingQueue %.1fx".formatted(peer.median()),
                    "<= 1.3x",
                    offer.toString(),
                    offer.isAtMost(1.3));
        }
        details.append(
                """
                ## Decisions, kept answers, reports and meters

                | benchmark | ns | B/op |
                |---|--:|--:|
                """);
        for (String benchmark : List.of(
                "DecisionBenchmark.bound",
                "DecisionBenchmark.embeddedPool",
                "DecisionBenchmark.keptAnswer",
                "DecisionBenchmark.embeddedPoolWhileTheServiceIsAway",
                "AnswerBenchmark.bareCaffeine",
                "AnswerBenchmark.ours",
                "MetricsBenchmark.bareCounter",
                "MetricsBenchmark.decision",
                "MetricsBenchmark.bareCounterAndTimer",
                "MetricsBenchmark.decisionAndEnd")) {
            Key key = Key.of(benchmark, 1);
            details.append("| %s | %s | %.0f |\n".formatted(benchmark, shown(micro.nanos(key)), micro.bytes(key)));
        }
        details.append("\n| a report, made and offered | one producer, ns | two producers, ns |\n|---|--:|--:|\n");
        for (String method : List.of("noQueue", "mpscArrayQueue", "ours", "arrayBlockingQueue")) {
            details.append("| %s | %s | %s |\n"
                    .formatted(
                            method,
                            shown(micro.nanos(Key.of("FeedbackBenchmark." + method, 1))),
                            shown(micro.nanos(Key.of("FeedbackBenchmark." + method, 2)))));
        }
        details.append('\n');
    }

    // end to end

    private void throughProxies() {
        for (String scenario : endToEnd.scenarios()) {
            if (scenario.contains("keep-alive") && !scenario.startsWith("proxy.enabled")) {
                compared(scenario, "hard-coded", "ours", null, 1.05);
            } else if (scenario.contains("new connection")) {
                compared(scenario, "hard-coded", "ours", 1.15, 1.15);
            }
        }
        String refuses = "first of two proxies refuses, 1 at a time";
        double base =
                Quartiles.of(endToEnd.samples(refuses, "hard-coded", "p50 µs")).median();
        Quartiles bare = more(refuses, "hard-coded, after a bare refused connect", base);
        Quartiles byHand = more(refuses, "hard-coded, refusing proxy first", base);
        Quartiles ours = more(refuses, "ours", base);
        goal(
                "first of two proxies refuses",
                "hard-coded good proxy; after a bare refused connect %s µs more; asking the refusing proxy first, and on its error the other, %s µs more"
                        .formatted(shown(bare), shown(byHand)),
                "<= one extra TCP connect, no timer",
                shown(ours) + " µs more",
                Ratio.between(ours, bare).isAtMost(1));
        details.append(
                "## End to end\n\nOne small GET on loopback; the target in a JVM of its own, a real proxy (microsocks, tinyproxy), all on the same cores.\n\n");
        for (String scenario : endToEnd.scenarios()) {
            if (scenario.equals("proxy.enabled=false")) {
                continue;
            }
            List<String> what = List.of("requests/s", "p50 µs", "p99 µs", "client CPU µs/request", "B/request");
            details.append("| %s | %s |\n|---|%s|\n"
                    .formatted(
                            scenario,
                            String.join(" | ", what),
                            what.stream().map(column -> "--:").collect(Collectors.joining("|"))));
            for (String variant : endToEnd.variants(scenario)) {
                details.append("| %s | %s |\n"
                        .formatted(
                                variant,
                                what.stream()
                                        .map(column -> shown(Quartiles.of(endToEnd.samples(scenario, variant, column))))
                                        .collect(Collectors.joining(" | "))));
            }
            details.append('\n');
        }
    }

    /** How much more a request takes. */
    private Quartiles more(String scenario, String variant, double base) {
        return Quartiles.of(endToEnd.samples(scenario, variant, "p50 µs").stream()
                .map(micros -> micros - base)
                .toList());
    }

    /**
     * @param cpuLimit of the ratio, or null if it is that of the same client measured twice
     */
    private void compared(String scenario, String base, String ours, Double cpuLimit, double bytesLimit) {
        Interval sameThroughput = Interval.of(ratios(scenario, base + AGAIN, base, "requests/s"));
        Quartiles throughput = ratios(scenario, ours, base, "requests/s");
        Interval sameCpu = Interval.of(ratios(scenario, base + AGAIN, base, "client CPU µs/request"));
        Quartiles cpu = ratios(scenario, ours, base, "client CPU µs/request");
        Quartiles bytes = ratios(scenario, ours, base, "B/request");
        Map<String, Verdict> parts = new LinkedHashMap<>();
        parts.put("throughput", Verdict.atLeast(throughput, sameThroughput.from()));
        parts.put("CPU", Verdict.atMost(cpu, cpuLimit == null ? sameCpu.to() : cpuLimit));
        parts.put("B/request", Verdict.atMost(bytes, bytesLimit));
        goal(
                scenario,
                base + ", twice: throughput %s, CPU %s".formatted(sameThroughput, sameCpu),
                "throughput within, CPU %s, B/request <= %.2fx"
                        .formatted(cpuLimit == null ? "within" : "<= %.2fx".formatted(cpuLimit), bytesLimit),
                "throughput %s, CPU %s, B/request %s".formatted(Ratio.of(throughput), Ratio.of(cpu), Ratio.of(bytes)),
                Verdict.ofAll(parts));
    }

    /** Beside the mean of both times that the base was measured; beside itself, of the second time and the first. */
    private Quartiles ratios(String scenario, String variant, String base, String what) {
        return ratios(endToEnd, scenario, variant, base, what);
    }

    private static Quartiles ratios(Measurements measured, String scenario, String variant, String base, String what) {
        List<Double> first = measured.samples(scenario, base, what);
        List<Double> again = measured.samples(scenario, base + AGAIN, what);
        return variant.endsWith(AGAIN)
                ? Quartiles.ofRatios(again, first)
                : Quartiles.ofRatios(
                        measured.samples(scenario, variant, what),
                        IntStream.range(0, first.size())
                                .mapToObj(i -> (first.get(i) + again.get(i)) / 2)
                                .toList());
    }

    private void disabled() {
        for (String scenario : endToEnd.scenarios()) {
            if (scenario.startsWith("proxy.enabled=false, ")) {
                compared(scenario, "without the library", "disabled", null, 1.0 + 0.005);
            }
        }
        double beans = endToEnd.samples("proxy.enabled=false", "disabled", "beans in the request path")
                .get(0);
        goal(
                "proxy.enabled=false, beans in the request path",
                "",
                "0",
                "%.0f".formatted(beans),
                beans == 0 ? "met" : "missed");
        Quartiles same = startRatios("without the library again", "without the library");
        Ratio start = Ratio.of(startRatios("disabled", "without the library"));
        goal(
                "proxy.enabled=false, start-up",
                "without the library, twice: " + Ratio.of(same)
                        + "; all with settings in the file, of five exchanges with pools and of a service",
                "<= 1.02x",
                start.toString(),
                start.isAtMost(1.02));
    }

    private Quartiles startRatios(String variant, String base) {
        return ratios(startUp, startUp.scenarios().iterator().next(), variant, base, "ms");
    }

    // start, memory, rest

    private void startAndMemory() {
        String scenario = startUp.scenarios().iterator().next();
        List<Double> none = startUp.samples(scenario, "no proxies", "ms");
        List<Double> many = startUp.samples(scenario, "10000 proxies", "ms");
        Quartiles more = Quartiles.of(IntStream.range(0, none.size())
                .mapToObj(i -> many.get(i) - none.get(i))
                .toList());
        List<Double> unread = startUp.samples(scenario, "no proxies, and 10000 lines unread", "ms");
        Quartiles reading = Quartiles.of(IntStream.range(0, none.size())
                .mapToObj(i -> unread.get(i) - none.get(i))
                .toList());
        goal(
                "start with 10 000 proxies, health checks off",
                "switched on with none; Spring Boot's own reading of such a file takes " + shown(reading) + " ms of it",
                "< 1 000 ms more",
                shown(more) + " ms more",
                verdict(more, 1_000));
        String heap = memory.scenarios().iterator().next();
        List<Double> large = memory.variants(heap).stream()
                .skip(1) // the smallest pools pay for what each pool has
                .map(variant -> memory.samples(heap, variant, "B/proxy").get(0))
                .toList();
        boolean linear = Collections.max(large) <= 1.2 * Collections.min(large);
        double most = memory.variants(heap).stream()
                .mapToDouble(variant -> memory.samples(heap, variant, "B/proxy").get(0))
                .max()
                .orElseThrow();
        goal(
                "memory per proxy",
                memory.variants(heap).stream()
                        .map(variant -> variant
                                + ": %.0f"
                                        .formatted(memory.samples(heap, variant, "B/proxy")
                                                .get(0)))
                        .collect(Collectors.joining(", ")),
                "<= 2 048 B, linear",
                "%.0f B at most".formatted(most),
                most <= 2_048 && linear ? "met" : "missed");
        details.append("## Start of an application\n\n| pool in the YAML file | ms |\n|---|--:|\n");
        for (String variant : startUp.variants(scenario)) {
            details.append(
                    "| %s | %s |\n".formatted(variant, shown(Quartiles.of(startUp.samples(scenario, variant, "ms")))));
        }
        details.append('\n');
    }

    private void rest() {
        String scenario = atRest.scenarios().iterator().next();
        Quartiles idle = Quartiles.of(atRest.samples(scenario, "idle", "% of one core"));
        Quartiles checking = Quartiles.of(atRest.samples(scenario, "checking", "% of one core"));
        double threads = Quartiles.of(atRest.samples(scenario, "checking", "threads"))
                        .median()
                - Quartiles.of(atRest.samples(scenario, "idle", "threads")).median();
        Quartiles cold = Quartiles.of(atRest.samples(scenario, "just started", "% of one core"));
        double checks =
                Quartiles.of(atRest.samples(scenario, "checking", "checks/min")).median();
        goal(
                "3 000 health checks a minute at rest",
                "idle: %s %%; the same checks by bare blocking sockets, one at a time: %s %%"
                        .formatted(
                                shown(idle),
                                shown(Quartiles.of(atRest.samples(scenario, "bare sockets", "% of one core")))),
                "<= 2 % of one core, no thread per proxy",
                shown(checking)
                        + " %% at %.0f checks a minute, %.0f threads more, after ten minutes' worth of checks; %.1f %% in the first seconds"
                                .formatted(
                                        Quartiles.of(atRest.samples(scenario, "checking", "checks/min"))
                                                .median(),
                                        threads,
                                        cold.median()),
                threads < 10 && checks > 2_800 ? verdict(checking, 2) : "missed");
    }

    private static String verdict(Quartiles measured, double limit) {
        return Verdict.atMost(measured, limit).toString();
    }

    // the page

    private void goal(String path, String beside, String goal, String measured, String verdict) {
        goals.append("| %s | %s | %s | %s | %s |\n".formatted(path, beside, goal, measured, verdict));
        System.out.printf("%-60s %-40s %s%n", path, measured, verdict);
    }

    private void picture(Path file) throws IOException {
        XYChart cost = chart("Taking a proxy and giving it back", "ns");
        for (String strategy : List.of("round_robin", "random", "least_connections")) {
            cost.addSeries(
                    strategy,
                    sizes,
                    sizes.stream()
                            .map(size -> lease(strategy, "well", size).median())
                            .toList());
        }
        cost.addSeries(
                "Spring Cloud, the choice alone",
                sizes,
                sizes.stream()
                        .map(size -> pick("springCloudRoundRobin", size, 1).median())
                        .toList());
        XYChart heap = chart("Memory of a pool", "KiB");
        String scenario = memory.scenarios().iterator().next();
        heap.addSeries(
                "all of its proxies",
                sizes,
                sizes.stream()
                        .map(size -> size
                                * memory.samples(scenario, "pools of " + size, "B/proxy")
                                        .get(0)
                                / 1_024)
                        .toList());
        List<XYChart> both = new ArrayList<>(List.of(cost, heap));
        BitmapEncoder.saveBitmap(both, 1, 2, file.toString(), BitmapEncoder.BitmapFormat.PNG);
    }

    private static XYChart chart(String title, String unit) {
        XYChart chart = new XYChartBuilder()
                .width(560)
                .height(400)
                .title(title)
                .xAxisTitle("proxies in the pool")
                .yAxisTitle(unit)
                .theme(Styler.ChartTheme.Matlab)
                .build();
        chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideS);
        return chart;
    }

    private static String shown(Quartiles values) {
        String format = Math.abs(values.median()) < 20 ? "%.1f (%.1f to %.1f)" : "%.0f (%.0f to %.0f)";
        return format.formatted(values.median(), values.first(), values.third());
    }

    /** A ratio, and where it may lie. */
    private record Ratio(double from, double median, double to) {
        static Ratio between(Quartiles ours, Quartiles base) {
            return new Ratio(ours.first() / base.third(), ours.median() / base.median(), ours.third() / base.first());
        }

        static Ratio of(Quartiles ratios) {
            return new Ratio(ratios.first(), ratios.median(), ratios.third());
        }

        String isAtMost(double limit) {
            return Verdict.atMost(from, median, to, limit).toString();
        }

        @Override
        public String toString() {
            return "%.2fx (%.2f to %.2f)".formatted(median, from, to);
        }
    }

    /** Where the ratio of one and the same client lies that is measured twice, whichever comes first. */
    private record Interval(double from, double to) {
        static Interval of(Quartiles ratios) {
            return new Interval(
                    Math.min(ratios.first(), 1 / ratios.third()), Math.max(ratios.third(), 1 / ratios.first()));
        }

        @Override
        public String toString() {
            return "%.2f to %.2f".formatted(from, to);
        }
    }
}
