package io.egressproxy.endtoend;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What was measured, by scenario, by what was compared in it, and by what was counted; a value for each round, in the order measured. */
final class Measurements {
    private final Map<String, Map<String, Map<String, List<Double>>>> all;

    Measurements() {
        this(new LinkedHashMap<>());
    }

    private Measurements(Map<String, Map<String, Map<String, List<Double>>>> all) {
        this.all = all;
    }

    static Measurements read(Path file) throws IOException {
        return new Measurements(new ObjectMapper().readValue(file.toFile(), new TypeReference<>() {}));
    }

    Set<String> scenarios() {
        return all.keySet();
    }

    Set<String> variants(String scenario) {
        return of(all, scenario).keySet();
    }

    List<Double> samples(String scenario, String variant, String what) {
        return of(of(of(all, scenario), variant), what);
    }

    private static <T> T of(Map<String, T> map, String key) {
        T value = map.get(key);
        if (value == null) {
            throw new IllegalStateException("'" + key + "' was not measured, but " + map.keySet());
        }
        return value;
    }

    void add(String scenario, String variant, String what, double value) {
        all.computeIfAbsent(scenario, made -> new LinkedHashMap<>())
                .computeIfAbsent(variant, made -> new LinkedHashMap<>())
                .computeIfAbsent(what, made -> new ArrayList<>())
                .add(value);
    }

    void print(String scenario) {
        System.out.println(scenario);
        all.get(scenario).forEach((variant, values) -> {
            StringBuilder line = new StringBuilder("  %-36s".formatted(variant));
            values.forEach((what, samples) -> {
                Quartiles of = Quartiles.of(samples);
                line.append("%s %.0f (%.0f to %.0f)  ".formatted(what, of.median(), of.first(), of.third()));
            });
            System.out.println(line);
        });
    }

    void write(String file) throws IOException {
        new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(new File(file), all);
    }
}
