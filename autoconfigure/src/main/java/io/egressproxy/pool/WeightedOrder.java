package io.egressproxy.pool;

import java.util.PriorityQueue;

/**
 * An order in which each index comes as often as its weight says, spread out evenly: with weights 2 and 1 it is 0 1 0, not 0 0
 * 1. Each index is due again after 1/weight; the earliest due comes next, the lower index first.
 */
final class WeightedOrder {
    private static final int STEPS_PER_UNIT = 10; // weights are meant in tenths
    private static final int MAX_LENGTH = 1 << 20;

    private record Due(double at, int index) implements Comparable<Due> {
        @Override
        public int compareTo(Due other) {
            int byTime = Double.compare(at, other.at);
            return byTime != 0 ? byTime : Integer.compare(index, other.index);
        }
    }

    private WeightedOrder() {}

    static int[] of(double[] weights) {
        int[] shares = shares(weights);
        long length = 0;
        PriorityQueue<Due> queue = new PriorityQueue<>(weights.length);
        for (int i = 0; i < shares.length; i++) {
            length += shares[i];
            queue.add(new Due(0.5 / shares[i], i));
        }
        int[] order = new int[(int) Math.min(length, MAX_LENGTH)];
        for (int turn = 0; turn < order.length; turn++) {
            Due next = queue.remove();
            order[turn] = next.index();
            queue.add(new Due(next.at() + 1.0 / shares[next.index()], next.index()));
        }
        return order;
    }

    private static int[] shares(double[] weights) {
        int[] shares = new int[weights.length];
        int divisor = 0;
        for (int i = 0; i < weights.length; i++) {
            shares[i] = Math.max(1, (int) Math.round(weights[i] * STEPS_PER_UNIT));
            divisor = gcd(shares[i], divisor);
        }
        for (int i = 0; i < shares.length; i++) {
            shares[i] /= divisor;
        }
        return shares;
    }

    private static int gcd(int a, int b) {
        return b == 0 ? a : gcd(b, a % b);
    }
}
