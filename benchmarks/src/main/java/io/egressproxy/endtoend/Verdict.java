package io.egressproxy.endtoend;

import java.util.EnumMap;
import java.util.Map;
import java.util.StringJoiner;

/** Whether a goal is met, the better the sooner; within noise if it lies inside the range of what was measured. */
enum Verdict {
    MET("met"),
    MET_WITHIN_NOISE("met within noise"),
    MISSED_WITHIN_NOISE("missed within noise"),
    MISSED("missed");

    private final String text;

    Verdict(String text) {
        this.text = text;
    }

    static Verdict atMost(Quartiles measured, double limit) {
        return atMost(measured.first(), measured.median(), measured.third(), limit);
    }

    static Verdict atLeast(Quartiles measured, double limit) {
        return atMost(-measured.third(), -measured.median(), -measured.first(), -limit);
    }

    static Verdict atMost(double from, double median, double to, double limit) {
        if (median <= limit) {
            return to <= limit ? MET : MET_WITHIN_NOISE;
        }
        return from > limit ? MISSED : MISSED_WITHIN_NOISE;
    }

    /** Of a goal of several parts: says which of them are not simply met, the worst first. */
    static String ofAll(Map<String, Verdict> parts) {
        Map<Verdict, StringJoiner> byVerdict = new EnumMap<>(Verdict.class);
        parts.forEach((part, verdict) -> byVerdict
                .computeIfAbsent(verdict, made -> new StringJoiner(", ", made + ": ", ""))
                .add(part));
        byVerdict.remove(MET);
        String all = "";
        for (StringJoiner joined : byVerdict.values()) {
            all = all.isEmpty() ? joined.toString() : joined + "; " + all;
        }
        return all.isEmpty() ? MET.text : all;
    }

    @Override
    public String toString() {
        return text;
    }
}
