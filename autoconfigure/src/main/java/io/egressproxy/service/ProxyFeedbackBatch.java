package io.egressproxy.service;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/**
 * Several reports in one request: {@code POST /api/v1/proxy/feedback/batch}.
 *
 * @param batchId the same when the batch is sent again, so that the service can tell
 * @param clientId which application instance reports
 * @param reports at least one
 */
public record ProxyFeedbackBatch(
        @JsonProperty("batch_id") String batchId,
        @JsonProperty("client_id") String clientId,
        @JsonProperty("reports") List<ProxyFeedback> reports) {

    /** A batch whose reports are copied. */
    public ProxyFeedbackBatch {
        reports = List.copyOf(reports);
    }

    /** The number of the reports only. */
    @Override
    public String toString() {
        return "ProxyFeedbackBatch[" + batchId + ", " + reports.size() + " report(s)]";
    }
}
