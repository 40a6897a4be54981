package io.egressproxy.endtoend;

import java.util.List;
import java.util.stream.IntStream;

/** Median, and the quartiles around it. */
record Quartiles(double first, double median, double third) {
    static Quartiles of(List<Double> values) {
        double[] sorted =
                values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        return new Quartiles(at(sorted, 0.25), at(sorted, 0.5), at(sorted, 0.75));
    }

    /** Of the ratios between what was measured in turn. */
    static Quartiles ofRatios(List<Double> values, List<Double> bases) {
        return of(IntStream.range(0, values.size())
                .mapToObj(i -> values.get(i) / bases.get(i))
                .toList());
    }

    private static double at(double[] sorted, double share) {
        double place = share * (sorted.length - 1);
        int below = (int) place;
        int above = Math.min(sorted.length - 1, below + 1);
        return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
    }
}
