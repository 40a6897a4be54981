package io.egressproxy.service;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the service may say when it is told something.
 *
 * @param invalidate its names of proxies whose answers are to be forgotten at once, or null
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record FeedbackReply(@JsonProperty("invalidate") @Nullable List<String> invalidate) {}
