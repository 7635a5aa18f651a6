// The JDK's own HTTP server, and Gson: replies to every text message from a contact.
// API_URL, TOKEN and SECRET belong to the instance.

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.*;
import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.*;
import java.net.http.*;
import java.security.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Receiver {
    static final String API_URL = System.getenv("API_URL"), TOKEN = System.getenv("TOKEN");
    static final byte[] KEY = Base64.getDecoder().decode(System.getenv("SECRET").replaceFirst("^whsec_", ""));
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static final Set<String> SEEN = Collections.synchronizedSet(Collections.newSetFromMap(
        new LinkedHashMap<String, Boolean>() {
            protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
                return size() > 1000; // the 1000 most recent webhook-ids
            }
        }));

    // There can be two signatures: for a day after a rotation, hooks are signed with the new and the old secret.
    static boolean isSigned(Headers headers, byte[] body) throws GeneralSecurityException {
        String timestamp = headers.getFirst("webhook-timestamp");
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(KEY, "HmacSHA256"));
        mac.update((headers.getFirst("webhook-id") + "." + timestamp + ".").getBytes(UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(UTF_8);
        boolean signed = false;
        for (String given : headers.getOrDefault("webhook-signature", List.of("")).get(0).split(" ")) {
            signed |= MessageDigest.isEqual(given.getBytes(UTF_8), expected);
        }
        return signed && Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) <= 300;
    }

    static void send(String chatId, String body) throws IOException, InterruptedException {
        JsonObject arguments = new JsonObject();
        arguments.addProperty("chatId", chatId);
        arguments.addProperty("body", body);
        HttpRequest request = HttpRequest.newBuilder(URI.create(API_URL + "sendMessage"))
            .header("Authorization", "Bearer " + TOKEN).header("Content-Type", "application/json")
            .timeout(Duration.ofSeconds(5)).POST(HttpRequest.BodyPublishers.ofString(arguments.toString())).build();
        HttpResponse<String> response = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) throw new IOException("sendMessage responded " + response.statusCode());
        JsonElement sent = JsonParser.parseString(response.body()).getAsJsonObject().get("sent");
        if (sent == null || !sent.getAsBoolean()) System.err.println("Not sent: " + response.body());
    }

    static int receive(Headers headers, byte[] body) {
        String id = headers.getFirst("webhook-id");
        try {
            if (!isSigned(headers, body)) return 401;
            if (!SEEN.add(id)) return 200;
            JsonElement messages = JsonParser.parseString(new String(body, UTF_8)).getAsJsonObject().get("messages");
            if (messages == null) return 200; // no messages in other families: respond 200
            for (JsonElement each : messages.getAsJsonArray()) {
                JsonObject message = each.getAsJsonObject();
                if (!message.get("fromMe").getAsBoolean() && message.get("type").getAsString().equals("chat"))
                    send(message.get("chatId").getAsString(), "You wrote: " + message.get("body").getAsString());
            }
            return 200;
        } catch (Exception error) {
            error.printStackTrace();
            SEEN.remove(id); // so that the retry is processed
            return 500;
        }
    }

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "5000"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(receive(exchange.getRequestHeaders(), body), -1);
            exchange.close();
        });
        server.start();
        System.out.println("Listening on http://localhost:" + port + "/");
    }
}
