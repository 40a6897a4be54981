package io.egressproxy.sample.feed;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Reads what it can from an answer. It never fails: every exchange has its own JSON, and this is no trading system. */
@Component
final class TickReader {

    private static final int RAW_LIMIT = 120;

    private final ObjectMapper json;

    TickReader(ObjectMapper json) {
        this.json = json;
    }

    Tick read(String answer) {
        JsonNode node = parse(answer);
        String price = node == null ? null : text(node, "price");
        return new Tick(
                node == null ? null : text(node, "symbol"),
                price,
                node == null ? null : text(node, "seenFrom"),
                price == null ? shorten(answer) : null);
    }

    private @Nullable JsonNode parse(String answer) {
        try {
            return json.readTree(answer);
        } catch (JsonProcessingException notJson) {
            return null;
        }
    }

    private static @Nullable String text(JsonNode node, String field) {
        JsonNode value = node.path(field);
        return value.isValueNode() && !value.isNull() ? value.asText() : null;
    }

    private static String shorten(String answer) {
        // Control characters would let a target write log lines of its own.
        String line = answer.replaceAll("\\p{Cntrl}+", " ").strip();
        return line.length() <= RAW_LIMIT ? line : line.substring(0, RAW_LIMIT - 1) + "…";
    }
}
