package io.egressproxy.endtoend;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.egressproxy.endtoend.Load.Quartiles;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What was measured, by scenario, by what was compared in it, and by what was counted; a value for each round, in the order measured. */
final class Measurements {
    private final Map<String, Map<String, Map<String, List<Double>>>> all = new LinkedHashMap<>();

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
                Quartiles of = Quartiles.of(
                        samples.stream().mapToDouble(Double::doubleValue).toArray());
                line.append("%s %.0f (%.0f to %.0f)  ".formatted(what, of.median(), of.first(), of.third()));
            });
            System.out.println(line);
        });
    }

    void write(String file) throws IOException {
        new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(new File(file), all);
    }
}
