<?php
// PHP 8: replies to every text message from a contact. API_URL, TOKEN and SECRET belong to the instance.

// There can be two signatures: for a day after a rotation, hooks are signed with the new and the old secret.
function is_signed(string $key, string $id, string $timestamp, string $given, string $body): bool
{
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $given) as $one) {
        if (hash_equals($expected, $one)) {
            return abs(time() - (int) $timestamp) <= 300;
        }
    }
    return false;
}

function send(string $chatId, string $body): void
{
    $response = file_get_contents(getenv('API_URL') . 'sendMessage', false, stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Content-Type: application/json', 'Authorization: Bearer ' . getenv('TOKEN')],
        'content' => json_encode(['chatId' => $chatId, 'body' => $body]),
        'timeout' => 5,
    ]]));
    if ($response === false) {
        throw new RuntimeException('sendMessage failed');
    }
    if (!(json_decode($response, true)['sent'] ?? false)) {
        error_log("Not sent: $response");
    }
}

ini_set('display_errors', '0'); // errors belong in the log, not in the response
$key = base64_decode(preg_replace('/^whsec_/', '', getenv('SECRET') ?: ''));
if ($key === '') {
    throw new RuntimeException('SECRET is not set.');
}
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$body = file_get_contents('php://input');
$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
if (!is_signed($key, $id, $timestamp, $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body)) {
    http_response_code(401);
    exit;
}
$marker = sys_get_temp_dir() . '/webhook-' . hash('sha256', $id); // one file for each webhook-id
if (!@fopen($marker, 'x')) {
    http_response_code(is_file($marker) ? 200 : 500);
    exit;
}
try {
    foreach (json_decode($body, true)['messages'] ?? [] as $message) { // no messages in other families: respond 200
        if (!$message['fromMe'] && $message['type'] === 'chat') {
            send($message['chatId'], "You wrote: {$message['body']}");
        }
    }
} catch (Throwable $error) {
    error_log($error);
    unlink($marker); // so that the retry is processed
    http_response_code(500);
}
if (random_int(1, 100) === 1) { // now and then, delete those older than a week
    foreach (glob(sys_get_temp_dir() . '/webhook-*') as $old) {
        if (filemtime($old) < time() - 7 * 86400) {
            unlink($old);
        }
    }
}
