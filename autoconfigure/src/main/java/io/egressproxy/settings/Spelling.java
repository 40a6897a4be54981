package io.egressproxy.settings;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** Finds the key that somebody meant. */
final class Spelling {
    private static final int SHORTEST_PART = 3;

    private Spelling() {}

    /** The key nearest to a spelling: one that it is a part of or that is a part of it, or else one that is nearly it. */
    static Optional<String> nearest(String spelling, Collection<String> keys) {
        String written = SettingsSchema.uniform(spelling);
        Optional<String> related = keys.stream()
                .filter(key -> isPart(written, SettingsSchema.uniform(key)))
                .min(Comparator.comparingInt(key -> Math.abs(key.length() - written.length())));
        return related.isPresent()
                ? related
                : keys.stream()
                        .filter(key ->
                                distance(SettingsSchema.uniform(key), written) <= Math.max(2, written.length() / 3))
                        .min(Comparator.comparingInt(key -> distance(SettingsSchema.uniform(key), written)));
    }

    private static boolean isPart(String left, String right) {
        String shorter = left.length() < right.length() ? left : right;
        String longer = left.length() < right.length() ? right : left;
        return shorter.length() >= SHORTEST_PART && longer.contains(shorter);
    }

    /** The least number of characters to insert, remove or replace (Levenshtein). */
    static int distance(String from, String to) {
        int[] row = new int[to.length() + 1];
        for (int j = 0; j <= to.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= from.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.length(); j++) {
                int above = row[j];
                int replaced = diagonal + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
                row[j] = Math.min(replaced, 1 + Math.min(above, row[j - 1]));
                diagonal = above;
            }
        }
        return row[to.length()];
    }
}
