package io.egressproxy.endtoend;

import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Ours and its peers, at every size and not only at that which is the worst for ours.
 *
 * @param nanos of a method, with a size
 */
record Peers(
        String ours,
        String bound,
        List<String> peers,
        List<Integer> sizes,
        BiFunction<String, Integer, Quartiles> nanos) {

    /** Each peer, and from where to where its ratio to the bound goes at the same size. */
    String besideTheBound() {
        return peers.stream().map(peer -> peer + " " + besideTheBound(peer)).collect(Collectors.joining(", "));
    }

    private String besideTheBound(String peer) {
        DoubleSummaryStatistics ratios = sizes.stream()
                .mapToDouble(size -> nanos.apply(peer, size).median()
                        / nanos.apply(bound, size).median())
                .summaryStatistics();
        return Stream.of(ratios.getMin(), ratios.getMax())
                .map("%.1fx"::formatted)
                .distinct()
                .collect(Collectors.joining(" to "));
    }

    /** With which sizes a peer is faster than ours, and whether all are. */
    String faster() {
        String beyondNoise = faster(true);
        String withinNoise = faster(false);
        if (beyondNoise.isEmpty() && withinNoise.isEmpty()) {
            return "No peer is faster";
        }
        String slowest = sizes.stream()
                .filter(size -> peers.stream().allMatch(peer -> isFaster(peer, size)))
                .map(size ->
                        size + (peers.stream().allMatch(peer -> isBeyondNoise(peer, size)) ? "" : " (within noise)"))
                .collect(Collectors.joining(", "));
        return Stream.of(
                        beyondNoise.isEmpty() ? "" : "Faster: " + beyondNoise,
                        withinNoise.isEmpty() ? "" : "Faster within noise: " + withinNoise,
                        slowest.isEmpty() ? "Never slower than every peer" : "Slower than every peer with " + slowest)
                .filter(sentence -> !sentence.isEmpty())
                .collect(Collectors.joining(". "));
    }

    private String faster(boolean beyondNoise) {
        return peers.stream()
                .map(peer -> peer
                        + sizes.stream()
                                .filter(size -> isFaster(peer, size) && isBeyondNoise(peer, size) == beyondNoise)
                                .map(String::valueOf)
                                .collect(Collectors.joining(", ", " with ", "")))
                .filter(sentence -> !sentence.endsWith(" with "))
                .collect(Collectors.joining("; "));
    }

    private boolean isFaster(String peer, int size) {
        return nanos.apply(peer, size).median() < nanos.apply(ours, size).median();
    }

    private boolean isBeyondNoise(String peer, int size) {
        return nanos.apply(peer, size).third() < nanos.apply(ours, size).first();
    }
}
