package io.egressproxy.endtoend;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.StreamSupport;

/** What JMH has measured: each benchmark, with its parameters and number of threads, and the value of each iteration. */
final class MicroBenchmarks {
    private static final String ALLOCATED = "gc.alloc.rate.norm";

    /**
     * What is measured.
     *
     * @param benchmark class and method, as in {@code PickBenchmark.oursRandom}
     * @param parameters by name, in the order of their names
     */
    record Key(String benchmark, Map<String, String> parameters, int threads) {
        static Key of(String benchmark, int threads, String... parameters) {
            Map<String, String> byName = new TreeMap<>();
            for (int i = 0; i < parameters.length; i += 2) {
                byName.put(parameters[i], parameters[i + 1]);
            }
            return new Key(benchmark, byName, threads);
        }
    }

    private final Map<Key, List<Double>> nanos = new HashMap<>();
    private final Map<Key, Double> bytes = new HashMap<>();

    static MicroBenchmarks read(List<Path> files) throws IOException {
        MicroBenchmarks all = new MicroBenchmarks();
        for (Path file : files) {
            new ObjectMapper().readTree(file.toFile()).forEach(all::add);
        }
        return all;
    }

    private void add(JsonNode result) {
        String[] name = result.get("benchmark").asText().split("\\.");
        Map<String, String> parameters = new TreeMap<>();
        if (result.has("params")) {
            result.get("params")
                    .fields()
                    .forEachRemaining(field ->
                            parameters.put(field.getKey(), field.getValue().asText()));
        }
        Key key = new Key(
                name[name.length - 2] + "." + name[name.length - 1],
                parameters,
                result.get("threads").asInt());
        List<Double> values = nanos.computeIfAbsent(key, made -> new ArrayList<>());
        StreamSupport.stream(result.get("primaryMetric").get("rawData").spliterator(), false)
                .flatMap(fork -> StreamSupport.stream(fork.spliterator(), false))
                .forEach(value -> values.add(value.asDouble()));
        JsonNode allocated = result.get("secondaryMetrics").get(ALLOCATED);
        if (allocated != null) {
            bytes.put(key, allocated.get("score").asDouble());
        }
    }

    /** Which sizes a benchmark was measured with, the smallest first. */
    List<Integer> sizes(String benchmark) {
        return nanos.keySet().stream()
                .filter(key -> key.benchmark().equals(benchmark))
                .map(key -> Integer.valueOf(key.parameters().get("size")))
                .distinct()
                .sorted()
                .toList();
    }

    Quartiles nanos(Key key) {
        List<Double> values = nanos.get(key);
        if (values == null) {
            throw new IllegalStateException(key + " was not measured");
        }
        return Quartiles.of(values);
    }

    /** Of one operation. */
    double bytes(Key key) {
        Double value = bytes.get(key);
        if (value == null) {
            throw new IllegalStateException("what " + key + " allocates was not measured");
        }
        return value;
    }
}
