package io.egressproxy.service;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What became of reports.
 *
 * @param accepted how many the service has taken
 * @param dropped how many it will never take, by reason: {@code rejected}, {@code too_large}, {@code not_supported}
 * @param invalidate its names of proxies whose answers are to be forgotten
 * @param unsent what may be sent again, each batch or part of one under its own id
 * @param failure why it has not been taken; null if nothing is left
 */
public record FeedbackResult(
        int accepted,
        Map<String, Integer> dropped,
        List<String> invalidate,
        List<ProxyFeedbackBatch> unsent,
        @Nullable ProxyServiceException failure) {

    /** A result whose parts are copied. */
    public FeedbackResult {
        dropped = Map.copyOf(dropped);
        invalidate = List.copyOf(invalidate);
        unsent = List.copyOf(unsent);
    }

    /**
     * All reports were taken.
     *
     * @param accepted how many
     * @param invalidate names of proxies whose answers are to be forgotten
     * @return the result
     */
    public static FeedbackResult accepted(int accepted, List<String> invalidate) {
        return new FeedbackResult(accepted, Map.of(), invalidate, List.of(), null);
    }

    /**
     * No report was taken, and all may be sent again.
     *
     * @param batch which
     * @param failure why not
     * @return the result
     */
    public static FeedbackResult failed(ProxyFeedbackBatch batch, ProxyServiceException failure) {
        return new FeedbackResult(0, Map.of(), List.of(), List.of(batch), failure);
    }

    static FeedbackResult dropped(int count, String reason) {
        return new FeedbackResult(0, count == 0 ? Map.of() : Map.of(reason, count), List.of(), List.of(), null);
    }

    FeedbackResult and(FeedbackResult other) {
        Map<String, Integer> droppedInAll = new java.util.HashMap<>(dropped);
        other.dropped.forEach((reason, count) -> droppedInAll.merge(reason, count, Integer::sum));
        return new FeedbackResult(
                accepted + other.accepted,
                droppedInAll,
                joined(invalidate, other.invalidate),
                joined(unsent, other.unsent),
                failure != null ? failure : other.failure);
    }

    private static <T> List<T> joined(List<T> first, List<T> second) {
        List<T> all = new java.util.ArrayList<>(first);
        all.addAll(second);
        return all;
    }
}
