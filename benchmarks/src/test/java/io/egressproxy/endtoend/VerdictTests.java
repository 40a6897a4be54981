package io.egressproxy.endtoend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class VerdictTests {
    @Test
    void aRangeThatIncludesTheGoalDoesNotDecide() {
        assertThat(Verdict.atMost(new Quartiles(1.01, 1.08, 1.11), 1.15)).hasToString("met");
        assertThat(Verdict.atMost(new Quartiles(1.00, 1.09, 1.20), 1.15)).hasToString("met within noise");
        assertThat(Verdict.atMost(new Quartiles(1.00, 1.16, 1.20), 1.15)).hasToString("missed within noise");
        assertThat(Verdict.atMost(new Quartiles(1.16, 1.17, 1.20), 1.15)).hasToString("missed");
    }

    @Test
    void theGoalItselfIsMet() {
        assertThat(Verdict.atMost(new Quartiles(1, 1, 1), 1)).hasToString("met");
        assertThat(Verdict.atLeast(new Quartiles(1, 1, 1), 1)).hasToString("met");
    }

    @Test
    void whatIsToBeHighIsJudgedTheOtherWayRound() {
        assertThat(Verdict.atLeast(new Quartiles(0.94, 0.98, 1.00), 0.87)).hasToString("met");
        assertThat(Verdict.atLeast(new Quartiles(0.86, 0.93, 1.03), 0.90)).hasToString("met within noise");
        assertThat(Verdict.atLeast(new Quartiles(0.86, 0.89, 1.03), 0.90)).hasToString("missed within noise");
        assertThat(Verdict.atLeast(new Quartiles(0.86, 0.88, 0.89), 0.90)).hasToString("missed");
    }

    @Test
    void aGoalOfSeveralPartsNamesThoseThatAreNotMetForCertain() {
        assertThat(of(Verdict.MET, Verdict.MET, Verdict.MET)).isEqualTo("met");
        assertThat(of(Verdict.MET_WITHIN_NOISE, Verdict.MET_WITHIN_NOISE, Verdict.MET))
                .isEqualTo("met within noise: throughput, CPU");
        assertThat(of(Verdict.MISSED_WITHIN_NOISE, Verdict.MET, Verdict.MET))
                .isEqualTo("missed within noise: throughput");
        assertThat(of(Verdict.MET_WITHIN_NOISE, Verdict.MISSED, Verdict.MISSED_WITHIN_NOISE))
                .isEqualTo("missed: CPU; missed within noise: B/request; met within noise: throughput");
    }

    private static String of(Verdict throughput, Verdict cpu, Verdict bytes) {
        Map<String, Verdict> parts = new LinkedHashMap<>();
        parts.put("throughput", throughput);
        parts.put("CPU", cpu);
        parts.put("B/request", bytes);
        return Verdict.ofAll(parts);
    }
}
