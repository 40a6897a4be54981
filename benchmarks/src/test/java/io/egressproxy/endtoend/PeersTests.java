package io.egressproxy.endtoend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PeersTests {
    private static final Map<Integer, Quartiles> BOUND = Map.of(10, around(5), 100, around(10));
    private static final Map<Integer, Quartiles> OURS = Map.of(10, around(10), 100, around(10));

    @Test
    void aPeerIsShownFromItsBestRatioToItsWorst() {
        Peers peers = peers(Map.of(10, around(5), 100, around(17)), Map.of(10, around(10), 100, around(20)));
        assertThat(peers.besideTheBound()).isEqualTo("first 1.0x to 1.7x, second 2.0x");
    }

    @Test
    void noPeerIsFaster() {
        Peers peers = peers(Map.of(10, around(10), 100, around(10)), Map.of(10, around(11), 100, around(20)));
        assertThat(peers.faster()).isEqualTo("No peer is faster");
    }

    @Test
    void rangesThatOverlapAreNoise() {
        Peers peers = peers(Map.of(10, around(7), 100, around(9)), Map.of(10, around(9.5), 100, around(20)));
        assertThat(peers.faster())
                .isEqualTo("Faster: first with 10. Faster within noise: first with 100; second with 10. "
                        + "Slower than every peer with 10 (within noise)");
    }

    @Test
    void beingFasterThanOnePeerIsEnoughNotToBeTheSlowest() {
        Peers peers = peers(Map.of(10, around(7), 100, around(7)), Map.of(10, around(11), 100, around(11)));
        assertThat(peers.faster()).isEqualTo("Faster: first with 10, 100. Never slower than every peer");
    }

    @Test
    void slowerThanEveryPeer() {
        Peers peers = peers(Map.of(10, around(7), 100, around(7)), Map.of(10, around(11), 100, around(7)));
        assertThat(peers.faster())
                .isEqualTo("Faster: first with 10, 100; second with 100. Slower than every peer with 100");
    }

    private static Peers peers(Map<Integer, Quartiles> first, Map<Integer, Quartiles> second) {
        Map<String, Map<Integer, Quartiles>> all =
                Map.of("ours", OURS, "bound", BOUND, "first", first, "second", second);
        return new Peers(
                "ours", "bound", List.of("first", "second"), List.of(10, 100), (method, size) -> all.get(method)
                        .get(size));
    }

    private static Quartiles around(double median) {
        return new Quartiles(median - 1, median, median + 1);
    }
}
