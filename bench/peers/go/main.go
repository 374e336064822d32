// The source as one would write it in Go with the standard library: records of an MSK event become Track calls of Segment.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBatchBytes = 475_000
	maxBatchCalls = 1_000
	secretTTL     = 5 * time.Minute
)

type mskEvent struct {
	Records map[string][]struct {
		Offset int64  `json:"offset"`
		Value  []byte `json:"value"`
	} `json:"records"`
}

type record struct {
	EventName       string      `json:"event_name"`
	Timestamp       string      `json:"timestamp"`
	ApplicationCode string      `json:"application_code"`
	MessageID       json.Number `json:"message_id"`
	MessageCode     string      `json:"message_code"`
	CampaignID      json.Number `json:"campaign_id"`
	CampaignCode    string      `json:"campaign_code"`
	MessageType     string      `json:"message_type"`
	Platform        json.Number `json:"platform"`
	HWID            string      `json:"hwid"`
	UserID          string      `json:"user_id"`
}

type properties struct {
	MessageType  string `json:"message_type"`
	CampaignCode string `json:"campaign_code,omitempty"`
	DeviceType   string `json:"device_type,omitempty"`
}

type library struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type callContext struct {
	Library     library `json:"library"`
	Integration library `json:"integration"`
}

type track struct {
	Type         string          `json:"type"`
	MessageID    string          `json:"messageId"`
	UserID       string          `json:"userId,omitempty"`
	AnonymousID  string          `json:"anonymousId,omitempty"`
	Event        string          `json:"event"`
	Timestamp    string          `json:"timestamp"`
	Properties   properties      `json:"properties"`
	Context      callContext     `json:"context"`
	Integrations map[string]bool `json:"integrations"`
}

type account struct {
	WriteKey string `json:"write_key"`
	BaseURL  string `json:"base_url"`
}

type cached struct {
	account *account
	read    time.Time
}

var exported = map[string]string{
	"Email Sent": "Email", "Push Sent": "Push", "SMS Sent": "SMS", "Email Delivered": "Email",
	"Push Delivered": "Push", "SMS Delivered": "SMS", "Email Bounced": "Email",
}

var platforms = map[string]string{
	"1": "iOS", "3": "Android", "7": "macOS", "8": "Windows", "9": "Amazon", "10": "Safari", "11": "Chrome",
	"12": "Firefox", "14": "Email", "17": "Huawei", "18": "SMS", "19": "Xiaomi", "21": "WhatsApp", "22": "LINE",
}

var (
	client       = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	cache        = map[string]cached{}
	sendContext  = callContext{library{"peer", "1"}, library{"pushwoosh", "1"}}
	integrations = map[string]bool{"Pushwoosh": false}
	stack        = os.Getenv("PWSEG_STACK_NAME")
)

// The account of an application; nil where it has none.
func accountOf(code string) (*account, error) {
	if known, ok := cache[code]; ok && time.Since(known.read) < secretTTL {
		return known.account, nil
	}
	body, _ := json.Marshal(map[string]string{"SecretId": "segment-pushwoosh/" + code})
	request, err := http.NewRequest("POST", os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var found *account
	if response.StatusCode == 200 {
		var value struct{ SecretString string }
		var secret struct {
			Segment *account `json:"segment"`
		}
		if err := json.Unmarshal(answer, &value); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(value.SecretString), &secret); err != nil {
			return nil, err
		}
		found = secret.Segment
	} else if !bytes.Contains(answer, []byte("ResourceNotFoundException")) {
		return nil, fmt.Errorf("Secrets Manager answered %d", response.StatusCode)
	}
	cache[code] = cached{found, time.Now()}
	return found, nil
}

func messageID(parts ...string) string {
	hash := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		io.WriteString(hash, part)
	}
	return "pw-" + hex.EncodeToString(hash.Sum(nil)[:20])
}

func toTrack(r *record) (*track, error) {
	kind := exported[r.EventName]
	if _, err := time.Parse(time.RFC3339, r.Timestamp); err != nil {
		return nil, err
	}
	call := &track{Type: "track", Event: r.EventName, Timestamp: r.Timestamp, Context: sendContext, Integrations: integrations}
	if r.UserID != "" && r.UserID != r.HWID {
		call.UserID = r.UserID
	} else if r.HWID != "" {
		call.AnonymousID = r.HWID
	} else {
		return nil, fmt.Errorf("no identity")
	}
	message := r.MessageCode
	if message == "" {
		message = r.MessageID.String()
	}
	person := r.HWID
	if person == "" {
		person = r.UserID
	}
	call.MessageID = messageID(stack, r.ApplicationCode, r.CampaignCode, r.CampaignID.String(), message, person, r.EventName, r.Timestamp)
	switch r.MessageType {
	case "Push", "Email", "SMS", "In-App":
		kind = r.MessageType
	}
	device := r.Platform.String()
	if name, ok := platforms[device]; ok {
		device = name
	}
	call.Properties = properties{kind, r.CampaignCode, device}
	return call, nil
}

func send(to *account, calls [][]byte) error {
	body := bytes.NewBuffer(make([]byte, 0, maxBatchBytes+512))
	body.WriteString(`{"batch":[`)
	body.Write(bytes.Join(calls, []byte(",")))
	key, _ := json.Marshal(to.WriteKey)
	fmt.Fprintf(body, `],"writeKey":%s,"sentAt":"%s"}`, key, time.Now().UTC().Format(time.RFC3339Nano))
	request, err := http.NewRequest("POST", to.BaseURL+"/batch", body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(to.WriteKey+":")))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("Segment answered %d", response.StatusCode)
	}
	return nil
}

func handle(body []byte) error {
	var event mskEvent
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	groups := map[string][][]byte{}
	seen := map[string]bool{}
	for _, records := range event.Records {
		for _, one := range records {
			var r record
			if json.Unmarshal(one.Value, &r) != nil {
				continue
			}
			to, err := accountOf(r.ApplicationCode)
			if err != nil {
				return err
			}
			if to == nil || exported[r.EventName] == "" {
				continue
			}
			call, err := toTrack(&r)
			if err != nil || seen[call.MessageID] {
				continue
			}
			seen[call.MessageID] = true
			text, err := json.Marshal(call)
			if err != nil {
				return err
			}
			groups[r.ApplicationCode] = append(groups[r.ApplicationCode], text)
		}
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8)
	failures := make(chan error, 1)
	for code, calls := range groups {
		to := cache[code].account
		for start := 0; start < len(calls); {
			end, size := start, 512
			for end < len(calls) && end-start < maxBatchCalls && size+len(calls[end])+1 <= maxBatchBytes {
				size += len(calls[end]) + 1
				end++
			}
			batch := calls[start:end]
			start = end
			wait.Add(1)
			slots <- struct{}{}
			go func() {
				defer wait.Done()
				if err := send(to, batch); err != nil {
					select {
					case failures <- err:
					default:
					}
				}
				<-slots
			}()
		}
	}
	wait.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	runtime := &http.Client{}
	for {
		response, err := runtime.Get(api + "next")
		if err != nil {
			os.Exit(1)
		}
		size, _ := strconv.Atoi(response.Header.Get("Content-Length"))
		body := bytes.NewBuffer(make([]byte, 0, size+512))
		body.ReadFrom(response.Body)
		response.Body.Close()
		path, answer := "/response", `{"batchItemFailures":[]}`
		if err := handle(body.Bytes()); err != nil {
			path, answer = "/error", strconv.Quote(err.Error())
		}
		id := response.Header.Get("Lambda-Runtime-Aws-Request-Id")
		response, err = runtime.Post(api+id+path, "application/json", strings.NewReader(answer))
		if err != nil {
			os.Exit(1)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
